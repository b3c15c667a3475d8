"""What the embedded teacher makes of labels: coverage by kind, and a sample to be graded by reading.

python benchmarks/curation_exam.py DATA coverage            # of the open labels; --sealed for the others
python benchmarks/curation_exam.py DATA sample 200          # pairs in turns by kind, at most one per section
python benchmarks/curation_exam.py DATA preferences 40

A sealed label is opened for an exam only, never to mend what the exam found and be graded again as if unseen.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from label_split import labels_of

from posology.curation.dataset.candidates import _pair, tasks
from posology.curation.dataset.preferences import edited_facts
from posology.curation.domain import Pair, Section
from posology.curation.recipe import FilterRecipe
from posology.curation.screens.filters import Context, sift, steps
from posology.curation.teachers.extractive import ExtractiveTeacher, rank

ATTRIBUTES = {
    "indication": (("34067-9",), ("indication",)),
    "a dose": (("34068-7",), ("recommended-dose", "starting-dose", "maximum-dose", "dosing")),
    "contraindications": (("34070-3",), ("contraindication",)),
    "boxed warning": (("34066-1",), ("boxed-warning",)),
    "common reactions": (("34084-4", "90374-0"), ("common-reactions",)),
    "storage": (("44425-7", "34069-5"), ("storage",)),
    "interactions": (("34073-7",), ("interaction", "avoid-with")),
    "renal": (("88828-9",), ("renal",)),
    "hepatic": (("88829-7",), ("hepatic",)),
    "pregnancy": (("42228-7", "53414-9"), ("pregnancy",)),
    "lactation": (("77290-5", "34080-2"), ("lactation",)),
    "paediatric": (("34081-0",), ("pediatric",)),
    "geriatric": (("34082-8",), ("geriatric",)),
    "mechanism": (("43679-0",), ("mechanism", "target")),
    "overdose management": (("34088-5",), ("overdose-management",)),
    "warnings": (("43685-7", "34071-1"), ("warning",)),
}


def taught(sections: list[Section]) -> Iterator[Pair]:
    """Every pair that the filters let through."""
    chosen = steps(FilterRecipe(80, True, True, True))
    texts = {s.id: s.text for s in sections}
    for answer in ExtractiveTeacher().teach(tasks(sections, seed=0)):
        for draft in answer.drafts:
            pair = _pair(draft, answer.task.section)
            if sift(pair, Context(texts[pair.section]), chosen) is None:
                yield pair


def coverage(sections: list[Section], pairs: list[Pair]) -> None:
    """Of the labels that have a section, how many were asked about it."""
    label = {s.id: s.set_id or s.source for s in sections}
    having: dict[str, set[str]] = defaultdict(set)
    asked: dict[str, set[str]] = defaultdict(set)
    for section in sections:
        having[section.code].add(label[section.id])
    for pair in pairs:
        asked[pair.question_type].add(label[pair.section])
    for name, (codes, kinds) in ATTRIBUTES.items():
        with_section = set().union(*(having[code] for code in codes))
        with_pair = set().union(*(asked[kind] for kind in kinds)) & with_section
        share = len(with_pair) / len(with_section) if with_section else 0
        sys.stdout.write(f"{name:20} {len(with_pair):4}/{len(with_section):4} {share:.0%}\n")


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


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("what", choices=("coverage", "sample", "preferences"))
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--sealed", action="store_true")
    parser.add_argument("--draw", default="exam", help="another word draws another sample")
    options = parser.parse_args()
    sections = [s for _, found in labels_of(options.data, sealed=options.sealed) for s in found]
    pairs = list(taught(sections))
    if options.what == "coverage":
        coverage(sections, pairs)
    elif options.what == "sample":
        for number, pair in enumerate(in_turns(pairs, options.count, options.draw), 1):
            sys.stdout.write(f"{number}. [{pair.question_type}] Q: {pair.question}\n   A: {pair.answer}\n")
    else:
        chosen = edited_facts(pairs, {s.id: s for s in sections}, wanted=options.count, seed=1)
        for number, one in enumerate(chosen, 1):
            sys.stdout.write(f"{number}. [{one.pair.question_type}/{one.kind}] Q: {one.pair.question}\n")
            sys.stdout.write(f"   + {one.pair.answer}\n   - {one.rejected}\n")


if __name__ == "__main__":
    main()
