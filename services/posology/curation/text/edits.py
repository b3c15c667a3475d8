"""One clinical fact of a sentence changed: the plainest wrong answer there is, equal in length and style."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from collections.abc import Iterator
from dataclasses import dataclass

from posology.curation.text.quantities import COMMON_DRUGS, QUANTITY, plain_number

KINDS = ("number", "unit", "comparator", "negation", "drug", "population")


@dataclass(frozen=True)
class Edit:
    """A sentence with one fact changed: what stood there, what stands there now."""

    kind: str
    before: str
    after: str
    text: str


_UNITS = {
    "mg": "mcg", "mcg": "mg", "g": "mg", "hours": "days", "hour": "day", "days": "weeks", "day": "week", "weeks": "days",
    "week": "day", "minutes": "hours", "months": "weeks", "years": "months", "mL": "L", "mg/kg": "mcg/kg", "mcg/kg": "mg/kg",
    "mg/mL": "mcg/mL", "mcg/mL": "mg/mL", "tablets": "capsules", "capsules": "tablets",
}  # fmt: skip

_SWAPS = {
    "comparator": (
        ("less than", "more than"), ("below", "above"), ("at least", "at most"), ("no more than", "no less than"),
        ("increases", "decreases"), ("increased", "decreased"), ("increase", "decrease"), ("before", "after"),
        ("lower", "higher"), ("minimum", "maximum"), ("with food", "without food"), ("once daily", "twice daily"),
        ("daily", "weekly"), ("slowly", "rapidly"), ("greater than", "less than"), ("inhibits", "activates"),
        ("inhibitor", "activator"), ("agonist", "antagonist"), ("acute", "chronic"), ("hypotension", "hypertension"),
        ("hyperkalemia", "hypokalemia"), ("hypoglycemia", "hyperglycemia"), ("bradycardia", "tachycardia"),
    ),
    "negation": (
        ("is not", "is"), ("are not", "are"), ("should not be", "should be"), ("should not", "should"), ("must not", "must"),
        ("has not been", "has been"), ("have not been", "have been"), ("do not", "do"), ("Do not", "Do"), ("was not", "was"),
        ("is contraindicated", "is not contraindicated"), ("are contraindicated", "are not contraindicated"),
        ("should be avoided", "need not be avoided"), ("may be", "may not be"), ("can be", "cannot be"), ("is indicated", "is not indicated"),
        ("are indicated", "are not indicated"), ("is recommended", "is not recommended"), ("without", "with"),
    ),
    "population": (
        ("renal", "hepatic"), ("pediatric", "geriatric"), ("children", "adults"), ("adults", "children"), ("elderly", "young"),
        ("women", "men"), ("male", "female"), ("pregnant women", "nursing mothers"), ("adult patients", "pediatric patients"),
        ("infants", "adolescents"), ("mild", "severe"), ("moderate", "mild"),
    ),
}  # fmt: skip


def _both_ways(pairs: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    there = dict(pairs)
    back = {after: before for before, after in pairs if after not in there}
    return sorted((there | back).items(), key=lambda one: (-len(one[0]), one[0]))


_RULES = {
    kind: [(before, after, re.compile(rf"\b{re.escape(before)}\b")) for before, after in _both_ways(pairs)]
    for kind, pairs in _SWAPS.items()
}
_ONE_WAY = {"is", "are", "do", "Do", "should", "must", "was", "with", "has been", "have been", "should be"}


def edits(sentence: str, *, context: str, drug: str) -> list[Edit]:
    """All single-fact edits of a sentence, in a fixed order; none that `context` (the label section) also states."""
    found = [*_numbers(sentence), *_units(sentence), *_words(sentence), *_drugs(sentence, drug)]
    return [
        edit for edit in found if edit.text != sentence and edit.text not in context and not _also_true(edit, context)
    ]


def _also_true(edit: Edit, context: str) -> bool:
    """A changed number that the section names elsewhere could be right for another patient: not a wrong answer."""
    return edit.kind in {"number", "unit"} and edit.after in context


def _numbers(sentence: str) -> Iterator[Edit]:
    for match in QUANTITY.finditer(sentence):
        number = match.group("number")
        value = float(number.replace(",", ""))
        for factor in (10, 2, 0.5, 0.1):
            changed = _spelled(value * factor)
            top = 100 if match.group("unit") in {"%", "percent"} else 1e7
            if 0 < value * factor <= top and changed != plain_number(number):
                after = match.group().replace(number, changed, 1)
                yield _edit("number", sentence, match.start(), match.group(), after)


def _units(sentence: str) -> Iterator[Edit]:
    for match in QUANTITY.finditer(sentence):
        unit = match.group("unit")
        if unit in _UNITS:
            after = match.group()[: -len(unit)] + _UNITS[unit]
            yield _edit("unit", sentence, match.start(), match.group(), after)


def _words(sentence: str) -> Iterator[Edit]:
    for kind, rules in _RULES.items():
        for before, after, expression in rules:
            found = expression.search(sentence) if before in sentence else None
            if found and not (kind == "negation" and before in _ONE_WAY):
                yield _edit(kind, sentence, found.start(), before, after)
                break


def _drugs(sentence: str, drug: str) -> Iterator[Edit]:
    own = set(drug.casefold().split())
    for match in re.finditer(r"[A-Za-z]{5,}", sentence):
        name = match.group().casefold()
        if name in COMMON_DRUGS and name not in own:
            other = _another(name, own)
            yield _edit(
                "drug", sentence, match.start(), match.group(), other.title() if match.group()[0].isupper() else other
            )


def _another(name: str, own: set[str]) -> str:
    """The drug next in the alphabet: fixed, so that edits do not depend on any draw."""
    names = sorted(COMMON_DRUGS - own)
    return names[(names.index(name) + 1) % len(names)]


def _edit(kind: str, sentence: str, at: int, before: str, after: str) -> Edit:
    return Edit(kind, before, after, sentence[:at] + after + sentence[at + len(before) :])


def _spelled(value: float) -> str:
    return plain_number(f"{value:.3f}")
