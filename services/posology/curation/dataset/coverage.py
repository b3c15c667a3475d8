"""Which labels a set asks about, kind by kind, and why it is silent on the others."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posology.curation.domain import Drop, Pair, Section
from posology.curation.text.repair import passages

# What is counted: name -> LOINC codes of the sections that have it, question types that ask for it.
ATTRIBUTES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
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


def coverage(sections: Sequence[Section], pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """By attribute: labels that have the section, and how many of them a pair asks about."""
    having, asked = _labels_with(sections), _labels_asked(sections, pairs)
    return {
        name: {"labels": len(labels), "asked": len(labels & asked[name])} for name, labels in having.items() if labels
    }


def gaps(sections: Sequence[Section], pairs: Sequence[Pair], drops: Sequence[Drop]) -> Iterator[dict[str, Any]]:
    """What each label has and no pair asks about, in order of the labels, with the reason.

    `reason` is "dropped: ..." for pairs that were made and dropped, else what kept the sections from being read.
    """
    having, asked = _labels_with(sections), _labels_asked(sections, pairs)
    by_label: dict[str, list[Section]] = defaultdict(list)
    for section in sections:
        by_label[_label(section)].append(section)
    dropped: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for drop in drops:
        if drop.pair and drop.pair.section:
            dropped[drop.pair.section, _bare(drop.pair.question_type)][f"{drop.stage}/{drop.reason}"] += 1
    for label in sorted(by_label):
        for name, (codes, kinds) in ATTRIBUTES.items():
            if label not in having[name] or label in asked[name]:
                continue
            own = [section for section in by_label[label] if section.code in codes]
            counts = sum((dropped[s.id, kind] for s in own for kind in kinds), Counter[str]())
            reason = (
                "dropped: " + ", ".join(f"{n} {why}" for why, n in counts.most_common(3)) if counts else _unread(own)
            )
            yield {"label": label, "drug": own[0].drug, "source": own[0].source, "missing": name, "reason": reason}


def _label(section: Section) -> str:
    return section.set_id or section.source


def _bare(kind: str) -> str:
    return kind.removeprefix("open-book/")


def _labels_with(sections: Sequence[Section]) -> dict[str, set[str]]:
    return {name: {_label(s) for s in sections if s.code in codes} for name, (codes, _) in ATTRIBUTES.items()}


def _labels_asked(sections: Sequence[Section], pairs: Sequence[Pair]) -> dict[str, set[str]]:
    where = {section.id: _label(section) for section in sections}
    by_kind: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.section in where:
            by_kind[_bare(pair.question_type)].add(where[pair.section])
    return {name: set().union(*(by_kind[kind] for kind in kinds)) for name, (_, kinds) in ATTRIBUTES.items()}


def _unread(sections: Sequence[Section]) -> str:
    """What keeps sections from being asked about: tables, sentences in doubt, or no statement of the kind."""
    parts = [passage for section in sections for passage in passages(section)]
    statements = [statement for part in parts for statement in part.statements]
    doubtful = sum(statement.doubtful for statement in statements)
    if not statements:
        return "only tables" if any(part.rows for part in parts) else "no sentence"
    if doubtful == len(statements):
        return "no sentence could be read with certainty"
    if doubtful:
        return f"{doubtful} of {len(statements)} sentences could not be read with certainty"
    if sum(statement.words for statement in statements) > 150:
        return "longer than an answer, without one sentence that says it"
    return "no sentence says it in a form that is read"
