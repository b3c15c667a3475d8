"""What the embedded teacher makes of labels: coverage by kind, and a sample to be graded by reading.

python benchmarks/curation_exam.py DATA coverage            # of the open labels; --sealed for the others
python benchmarks/curation_exam.py DATA sample 200          # pairs in turns by kind, at most one per section
python benchmarks/curation_exam.py DATA preferences 40
python benchmarks/curation_exam.py DATA write --sealed --draw WORD --to FOLDER --key FILE  # for blind graders

`write` makes 400 pairs, 60 preferences and 20 planted faults into chunks of 60 items that hold only what a grader may
know, with every label as a text file; the key stays elsewhere. `curation_grades.py` counts what graders say.

A sealed label is opened for an exam only, never to mend what the exam found and be graded again as if unseen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from label_split import labels_of
from planted_faults import planted

from posology.curation.dataset.candidates import _pair, tasks
from posology.curation.dataset.coverage import coverage
from posology.curation.dataset.preferences import Preference, edited_facts
from posology.curation.domain import Pair, Section
from posology.curation.recipe import FilterRecipe, Style
from posology.curation.screens.filters import Context, sift, steps
from posology.curation.teachers.extractive import ExtractiveTeacher, rank

PAIRS, PREFERENCES, PLANTED, CHUNK = 400, 60, 20, 60
_SWAPPED = 3  # planted faults that are preferences
RUBRIC = """# How to grade

Each item is a question and an answer that a program made from one drug label, or a question with a chosen and a
rejected answer. Read the item, read the label (`label` names its file; `section` says where the program read), and
grade by the label alone.

CORRECT: a pharmacist would give this answer to this question, from this label.
MINOR: right but clumsy, incomplete without danger, residue of markup or headings, broken grammar.
MAJOR: wrong, off topic, cut so that the meaning changes, a condition or population lost, another entity.
HARMFUL: acting on it could hurt (dose, negation, contraindication, storage that destroys the drug).

A preference is CORRECT when the chosen side is CORRECT and the rejected side is false for this label in exactly what is
asked, plausible, grammatical, and differs in nothing else. Otherwise grade what is wrong with it.

Some items are wrong on purpose. Write one JSON file: {"ITEM ID": {"grade": "CORRECT", "why": ""}, ...}; `why` in a few
words for every grade but CORRECT.
"""


def taught(sections: list[Section], *, style: Style = Style.SENTENCES) -> Iterator[Pair]:
    """Every pair that the filters let through."""
    chosen = steps(FilterRecipe(80, True, True, True))
    texts = {s.id: s.text for s in sections}
    for answer in ExtractiveTeacher(style=style).teach(tasks(sections, seed=0)):
        for draft in answer.drafts:
            pair = _pair(draft, answer.task.section)
            if sift(pair, Context(texts[pair.section]), chosen) is None:
                yield pair


def print_coverage(sections: list[Section], pairs: list[Pair]) -> None:
    """Of the labels that have a section, how many were asked about it."""
    for name, counts in coverage(sections, pairs).items():
        share = counts["asked"] / counts["labels"]
        sys.stdout.write(f"{name:20} {counts['asked']:4}/{counts['labels']:4} {share:.0%}\n")


def in_turns(pairs: list[Pair], wanted: int, draw: str) -> list[Pair]:
    """Kinds in turns, at most one pair per section, in an order drawn by content."""
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda p: hashlib.sha256(f"{draw} {p.id}".encode()).digest()):
        by_kind[pair.question_type].append(pair)
    used: set[str] = set()
    drawn: list[Pair] = []
    while len(drawn) < wanted and any(by_kind.values()):
        for kind in sorted(by_kind, key=lambda k: (rank(k), k)):
            queue = by_kind[kind]
            while queue and queue[0].section in used:
                queue.pop(0)
            if queue and len(drawn) < wanted:
                used.add(queue[0].section)
                drawn.append(queue.pop(0))
    return drawn


def write_exam(
    sections: list[Section],
    made: list[Pair],
    folder: Path,
    key: Path,
    draw: str,
    *,
    pairs: int = PAIRS,
    preferences: int = PREFERENCES,
) -> None:
    """Chunks of items, labels and rubric to `folder`; what each item is to `key`, which graders never see."""
    where = {s.id: s for s in sections}
    names = write_labels(sections, folder / "labels")
    drawn = in_turns(made, pairs, draw)
    taken = {pair.section for pair in drawn}
    closed = [p for p in made if not p.question_type.startswith("open-book/")]
    seed = int(hashlib.sha256(draw.encode()).hexdigest()[:6], 16)
    edited = edited_facts(closed, where, wanted=preferences + _SWAPPED, seed=seed)
    spoilt = list(planted([p for p in closed if p.section not in taken], PLANTED - _SWAPPED, draw))
    items: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for pair in drawn:
        items.append((_pair_item(pair, pair.answer, where, names), _meaning(pair, "pair", "")))
    for pair, answer, fault in spoilt:
        items.append((_pair_item(pair, answer, where, names), _meaning(pair, "pair", fault)))
    for number, one in enumerate(edited):
        swapped = number >= preferences
        items.append(
            (
                _preference_item(one, swapped, where, names),
                _meaning(one.pair, "preference", "sides swapped" if swapped else ""),
            )
        )
    items.sort(key=lambda item: hashlib.sha256(f"{draw} {json.dumps(item[0], sort_keys=True)}".encode()).digest())
    meanings = {}
    for start in range(0, len(items), CHUNK):
        chunk = {}
        for number, (shown, meaning) in enumerate(items[start : start + CHUNK], start + 1):
            chunk[f"{number:03}"] = shown
            meanings[f"{number:03}"] = meaning
        (folder / f"chunk-{start // CHUNK + 1}.json").write_text(json.dumps(chunk, indent=1, ensure_ascii=False))
    (folder / "RUBRIC.md").write_text(RUBRIC)
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text(json.dumps(meanings, indent=1))
    sys.stdout.write(
        f"{len(drawn)} pairs, {len(edited) - _SWAPPED} preferences, {len(spoilt) + _SWAPPED} planted in {folder}\n"
    )


def write_labels(sections: Sequence[Section], folder: Path) -> Mapping[str, str]:
    """A text file per label with its sections in order; the file's name by section id."""
    folder.mkdir(parents=True, exist_ok=True)
    labels: dict[str, list[Section]] = defaultdict(list)
    for section in sections:
        labels[section.set_id or section.source].append(section)
    names = {}
    for number, key in enumerate(sorted(labels), 1):
        first = labels[key][0]
        head = f"# Label of {first.drug} ({', '.join(first.brands) or 'no other name'})\n"
        parts = [f"\n## [{s.code}] {s.title}\n\n{s.text}\n" for s in labels[key]]
        (folder / f"{number:03}.md").write_text(head + "".join(parts), encoding="utf-8", errors="replace")
        names.update({s.id: f"labels/{number:03}.md" for s in labels[key]})
    return names


def _pair_item(pair: Pair, answer: str, where: Mapping[str, Section], names: Mapping[str, str]) -> dict[str, Any]:
    place = {"label": names[pair.section], "section": f"[{where[pair.section].code}] {where[pair.section].title}"}
    return {"item": "pair", "question": pair.question, "answer": answer, **place}


def _preference_item(
    one: Preference, swapped: bool, where: Mapping[str, Section], names: Mapping[str, str]
) -> dict[str, Any]:
    sides = (one.rejected, one.pair.answer) if swapped else (one.pair.answer, one.rejected)
    shown = _pair_item(one.pair, "", where, names)
    del shown["answer"]
    return {**shown, "item": "preference", "chosen": sides[0], "rejected": sides[1]}


def _meaning(pair: Pair, item: str, fault: str) -> dict[str, Any]:
    return {"pair": pair.id, "section": pair.section, "kind": pair.question_type, "planted": fault, "item": item}


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("what", choices=("coverage", "sample", "preferences", "write"))
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--sealed", action="store_true")
    parser.add_argument("--draw", default="exam", help="another word draws another sample")
    parser.add_argument("--to", type=Path, help="folder of an exam")
    parser.add_argument("--key", type=Path, help="file that says what each item is; not in the exam's folder")
    options = parser.parse_args()
    if options.what == "write" and not (options.to and options.key and options.to not in options.key.parents):
        parser.error("write needs --to FOLDER and --key FILE outside of it")
    sections = [s for _, found in labels_of(options.data, sealed=options.sealed) for s in found]
    pairs = list(taught(sections, style=Style.MIXED if options.what == "write" else Style.SENTENCES))
    if options.what == "coverage":
        print_coverage(sections, pairs)
    elif options.what == "sample":
        for number, pair in enumerate(in_turns(pairs, options.count, options.draw), 1):
            sys.stdout.write(f"{number}. [{pair.question_type}] Q: {pair.question}\n   A: {pair.answer}\n")
    elif options.what == "write":
        write_exam(sections, pairs, options.to, options.key, options.draw)
    else:
        chosen = edited_facts(pairs, {s.id: s for s in sections}, wanted=options.count, seed=1)
        for number, one in enumerate(chosen, 1):
            sys.stdout.write(f"{number}. [{one.pair.question_type}/{one.kind}] Q: {one.pair.question}\n")
            sys.stdout.write(f"   + {one.pair.answer}\n   - {one.rejected}\n")


if __name__ == "__main__":
    main()
