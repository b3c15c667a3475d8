"""Counts what blind graders said of an exam that `curation_exam.py write` made.

python benchmarks/curation_grades.py KEY --grader A.json [A2.json ...] --grader B.json [...] [--settled SETTLED.json]

A grader's files are merged. A grader who misses more than 2 of 20 planted faults does not count. An item is right when
every counting grader calls it CORRECT; what they disagree on is wrong until SETTLED ({"ID": {"grade", "why"}}) says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posology.curation.review.bound import upper_bound

GRADES = ("CORRECT", "MINOR", "MAJOR", "HARMFUL")
_MISSES = 2  # of twenty planted faults
Grades = Mapping[str, Mapping[str, str]]


def read_grades(files: Sequence[Path], key: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """One grader's grades; SystemExit names an item that is missing, unknown or graded with no grade."""
    grades: dict[str, dict[str, str]] = {}
    for file in files:
        for item, graded in json.loads(file.read_text()).items():
            entry = {"grade": graded, "why": ""} if isinstance(graded, str) else dict(graded)
            if item not in key:
                raise SystemExit(f"{file}: no item {item} in this exam")
            if entry.get("grade") not in GRADES:
                raise SystemExit(
                    f"{file}: item {item} is graded {entry.get('grade')!r}, not one of {', '.join(GRADES)}"
                )
            grades[item] = entry
    missing = sorted(set(key) - set(grades))
    if missing:
        raise SystemExit(
            f"{files[0]}: {len(missing)} items are not graded, {', '.join(missing[:10])} the first of them"
        )
    return grades


def catches(grades: Grades, key: Mapping[str, Any]) -> tuple[int, list[str]]:
    """How many planted faults a grader found, and the items of those that were missed."""
    faults = [item for item in key if key[item]["planted"]]
    missed = [item for item in faults if grades[item]["grade"] == "CORRECT"]
    return len(faults) - len(missed), missed


def settle(graders: Sequence[Grades], settled: Grades, items: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The grade of each item, the worst of those given unless it was settled; and the items that are open still."""
    final, disputed = {}, []
    for item in items:
        given = {grades[item]["grade"] for grades in graders}
        right = {grade == "CORRECT" for grade in given}
        if item in settled:
            final[item] = settled[item]["grade"]
        else:
            final[item] = max(given, key=GRADES.index)
            if len(right) > 1:
                disputed.append(item)
    return final, disputed


def report(key: Mapping[str, Any], graders: Sequence[Grades], settled: Grades) -> None:
    """Print catches, grades with bounds for pairs and preferences, kinds with errors, and every dispute."""
    counting = []
    for number, grades in enumerate(graders, 1):
        caught, missed = catches(grades, key)
        counts = caught >= len([i for i in key if key[i]["planted"]]) - _MISSES
        counting += [grades] * counts
        names = ", ".join(f"{item} ({key[item]['planted']})" for item in missed) or "none"
        _say(f"grader {number}: {caught} planted faults found, missed {names}{'' if counts else '; does not count'}")
    if not counting:
        raise SystemExit("no grader counts")
    for name, items in _parts(key).items():
        final, disputed = settle(counting, settled, items)
        tally = Counter(final.values())
        wrong = len(items) - tally["CORRECT"]
        bound = upper_bound(wrong, len(items), confidence=0.95)
        counts_of = ", ".join(f"{grade} {tally[grade]}" for grade in GRADES)
        _say(f"{name}: {wrong} wrong of {len(items)} ({counts_of}); below {bound:.2%} at 95%")
        agreed = sum(len({g[i]["grade"] == "CORRECT" for g in counting}) == 1 for i in items)
        _say(f"  agreement on right or wrong: {agreed} of {len(items)}; open disputes: {len(disputed)}")
        by_kind = Counter(key[item]["kind"] for item, grade in final.items() if grade != "CORRECT")
        _say("  kinds with errors: " + (", ".join(f"{kind} {n}" for kind, n in by_kind.most_common()) or "none"))
        for item in [i for i in items if final[i] != "CORRECT" or i in disputed]:
            said = " | ".join(f"{g[item]['grade']} {g[item].get('why', '')}".strip() for g in counting)
            _say(f"  {item} [{key[item]['kind']}] {said}{' DISPUTED' if item in disputed else ''}")


def _parts(key: Mapping[str, Any]) -> dict[str, list[str]]:
    real = [item for item in sorted(key) if not key[item]["planted"]]
    return {
        name: [i for i in real if key[i]["item"] == what]
        for name, what in (("pairs", "pair"), ("preferences", "preference"))
    }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key", type=Path)
    parser.add_argument("--grader", type=Path, nargs="+", action="append", required=True, help="files of one grader")
    parser.add_argument("--settled", type=Path)
    options = parser.parse_args()
    key = json.loads(options.key.read_text())
    settled = json.loads(options.settled.read_text()) if options.settled else {}
    report(key, [read_grades(files, key) for files in options.grader], settled)


if __name__ == "__main__":
    main()
