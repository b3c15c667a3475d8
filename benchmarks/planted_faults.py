"""Faults that an exam plants among its items to see whether a grader reads: one of each class that labels invite.

Nothing of the product edits here: a grader who shares a blind spot with the product's own editor must not look good.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence

from posology.curation.domain import Pair

_DOSE = {
    "recommended-dose", "starting-dose", "maximum-dose", "dosing", "half-life", "bioavailability", "protein-binding",
    "strength", "storage",
}  # fmt: skip
_FLIPS = (
    (r"\bhave not been\b", "have been"),
    (r"\bis contraindicated in\b", "may be given in"),
    (r"\b[Aa]void\b", "Allow"),
    (r"\bshould not\b", "should"),
    (r"\b[Nn]o dosage\b", "A dosage"),
    (r"\bnot to breastfeed\b", "that they may breastfeed"),
    (r"\bdo not\b", "do"),
    (r"\bis not\b", "is"),
)


def planted(pairs: Sequence[Pair], wanted: int, draw: str) -> Iterator[tuple[Pair, str, str]]:
    """(pair, its answer made false or incomplete, class of fault): classes in turns, one per section."""
    order = sorted(pairs, key=lambda p: hashlib.sha256(f"planted {draw} {p.id}".encode()).digest())
    used: set[str] = set()
    made = 0
    while made < wanted:
        before = made
        for name, spoil in FAULTS.items():
            for pair in order:
                answer = spoil(pair, order) if made < wanted and pair.section not in used else None
                if answer and answer != pair.answer:
                    used.add(pair.section)
                    made += 1
                    yield pair, answer, name
                    break
        if made == before:
            return


def _tenfold(pair: Pair, _: Sequence[Pair]) -> str | None:
    """A dose ten times too high."""
    match = re.search(r"\b(\d+(?:\.\d+)?)(?= ?(?:mg|mcg|units?)\b)", pair.answer)
    if pair.question_type not in _DOSE or not match or len(re.findall(r"\d+", pair.answer)) > 4:
        return None
    return f"{pair.answer[: match.start()]}{float(match.group()) * 10:g}{pair.answer[match.end() :]}"


def _unit(pair: Pair, _: Sequence[Pair]) -> str | None:
    """Micrograms for milligrams."""
    hits = re.findall(r"\d ?mg\b", pair.answer)
    return re.sub(r"(?<=\d)( ?)mg\b", r"\1mcg", pair.answer) if hits and pair.question_type in _DOSE else None


def _flipped(pair: Pair, _: Sequence[Pair]) -> str | None:
    """A negation lost."""
    for before, after in _FLIPS:
        if len(re.findall(before, pair.answer)) == 1 and len(pair.answer.split()) < 50:
            return re.sub(before, after, pair.answer)
    return None


def _cut_list(pair: Pair, _: Sequence[Pair]) -> str | None:
    """A list that ends at its colon, or loses its last items."""
    stem, *items = pair.answer.split("\n- ")
    return stem if len(items) >= 2 and stem.endswith(":") else None


def _other_drug(pair: Pair, order: Sequence[Pair]) -> str | None:
    """The right kind of answer, of another drug."""
    if pair.question_type not in {"indication", "mechanism", "common-reactions", "contraindication"}:
        return None
    for other in order:
        if other.question_type == pair.question_type and other.family != pair.family:
            name = re.compile(re.escape(other.drug), re.IGNORECASE)
            if name.search(other.answer) and len(other.answer.split()) < 60:
                return name.sub(pair.drug, other.answer)
    return None


def _half(pair: Pair, _: Sequence[Pair]) -> str | None:
    """A sentence cut in its middle, where what follows changes its meaning."""
    match = re.search(r",? (?:except|unless|only|if|in patients with|who)\b[^.]*\.$", pair.answer)
    fits = match and len(pair.answer.split()) < 45 and match.start() > 40
    return pair.answer[: match.start()].rstrip(" ,") + "." if match and fits else None


def _wrong_group(pair: Pair, _: Sequence[Pair]) -> str | None:
    """What is said of one group, said of another."""
    for before, after in (
        ("renal", "hepatic"),
        ("pediatric", "geriatric"),
        ("hepatic", "renal"),
        ("pregnant", "postmenopausal"),
    ):
        if len(re.findall(rf"\b{before}\b", pair.answer)) == 1 and len(pair.answer.split()) < 50:
            return re.sub(rf"\b{before}\b", after, pair.answer)
    return None


def _frequency(pair: Pair, _: Sequence[Pair]) -> str | None:
    """Twice as often."""
    swaps = {
        "once daily": "three times daily",
        "twice daily": "once daily",
        "once weekly": "once daily",
        "every 12 hours": "every 4 hours",
    }
    for before, after in swaps.items():
        if pair.answer.count(before) == 1:
            return pair.answer.replace(before, after)
    return None


def _route(pair: Pair, _: Sequence[Pair]) -> str | None:
    """Another route."""
    swaps = {
        "intravenous": "intramuscular",
        "orally": "intravenously",
        "subcutaneous": "intravenous",
        "by mouth": "by injection",
    }
    for before, after in swaps.items():
        if pair.answer.count(before) == 1 and "dos" in pair.question_type:
            return pair.answer.replace(before, after)
    return None


def _swelled(pair: Pair, _: Sequence[Pair]) -> str | None:
    """A claim that the label does not make, behind a right answer."""
    fits = pair.question_type in {"pregnancy", "renal", "geriatric", "pediatric"} and len(pair.answer.split()) < 60
    return f"{pair.answer} No monitoring is needed in these patients." if fits else None


FAULTS: dict[str, Callable[[Pair, Sequence[Pair]], str | None]] = {
    "tenfold": _tenfold, "negation": _flipped, "cut list": _cut_list, "other drug": _other_drug, "unit": _unit,
    "half a sentence": _half, "other group": _wrong_group, "frequency": _frequency, "route": _route,
    "added claim": _swelled,
}  # fmt: skip
