"""Readers of tables, row by row with their headers: doses by group, interactions by partner."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from collections.abc import Iterator, Sequence

from posology.curation.teachers.facts import Fact, Place, answered, reader
from posology.curation.text.normal import without_references
from posology.curation.text.repair import is_sentence, plain_text

_IMPACT = re.compile(r"^clinical (?:impact|effect|implications?)s?:?$", re.IGNORECASE)
_ADVICE = re.compile(
    r"^(?:intervention|prevention or management|prevention|management|recommendations?):?$", re.IGNORECASE
)
_WHOM = re.compile(
    r"\b(?:age|weight|patients?|population|indication|impairment|clearance|CrCl|CLcr|GFR|renal|hepatic|body|condition|infection|severity)\b",
    re.IGNORECASE,
)
_DOSE = re.compile(r"\b(?:dos(?:e|age|ing)|regimen)\b", re.IGNORECASE)
_AMOUNT = re.compile(r"\d\s?(?:mg|mcg|g|mL|units?|IU|tablets?|capsules?)\b")


@reader("interaction", codes="34073-7")
def interaction_table(place: Place) -> Iterator[Fact]:
    """A partner in a row of its own, then "Clinical Impact" and "Intervention": the two rows are one statement."""
    for passage in place.passages:
        partner, impact = "", ""
        for row in passage.rows:
            cells = [_cell(cell) for cell in row if cell.strip()]
            if len(cells) == 1:
                partner, impact = cells[0].strip(" :"), ""
            elif len(cells) == 2 and _IMPACT.match(cells[0]):
                impact = cells[1]
            elif len(cells) == 2 and _ADVICE.match(cells[0]) and partner and impact and _is_partner(partner):
                text = f"{_stopped(impact)} {_stopped(cells[1])}"
                if _sound(impact) and _sound(cells[1]) and len(text.split()) <= 120:
                    question = f"What is the clinical impact of {place.name} with {_lower(partner)}, and what does its label advise?"
                    yield Fact("interaction", (question,), answered(place, text), evidence=f"{impact}\n{cells[1]}")


@reader("dosing", codes="34068-7")
def dose_table(place: Place) -> Iterator[Fact]:
    """Tables of two columns, whom and how much: each row with both headers."""
    if place.is_over_the_counter:
        return
    for passage in place.passages:
        head: tuple[str, str] | None = None
        caption = ""
        for row in passage.rows:
            cells = [_cell(cell) for cell in row]
            if len(cells) == 1:
                caption = re.sub(r"^Table \d+[.:]?\s*", "", cells[0]).strip(" .:")
            if len(cells) != 2 or not all(cells):
                head = None
            elif (
                not re.search(r"\d", cells[1])
                and _WHOM.search(cells[0])
                and _DOSE.search(cells[1])
                and not _AMOUNT.search(cells[1])
            ):
                head = (cells[0].strip(" :*"), cells[1].strip(" :*"))
            elif (
                head
                and _AMOUNT.search(cells[1])
                and _plain(cells[0], 14)
                and _plain(cells[1], 40)
                and _plain(" ".join(head), 16)
            ):
                if not caption or not _plain(caption, 24):
                    continue  # flat texts put tables behind the text, so the heading before one is none of its own
                question = f"In the table “{caption}” of the label of {place.name}, what is given as “{head[1]}” for “{head[0]}: {cells[0]}”?"
                answer = (
                    f"For “{head[0]}: {cells[0]}”, the label of {place.name} gives “{head[1]}”: {_stopped(cells[1])}"
                )
                yield Fact("dosing", (question,), answer, evidence=f"{cells[0]}\n{cells[1]}")


def _cell(cell: str) -> str:
    return " ".join(plain_text(without_references(cell)).split())


def _is_partner(name: str) -> bool:
    return 1 <= len(name.split()) <= 12 and not re.search(r"\bTable\b|[.;|]|^Examples?|\d{3}", name)


def _lower(name: str) -> str:
    """A common noun loses its capital in a sentence: "Strong CYP3A4 Inhibitors" keeps it, "Warfarin" does not."""
    return name[0].lower() + name[1:] if re.fullmatch(r"[A-Z][a-z]+", name) else name


def _stopped(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _sound(text: str) -> bool:
    from posology.curation.text.normal import split_sentences

    parts: Sequence[str] = split_sentences(_stopped(text))
    return all(is_sentence(part) for part in parts) and not re.search(r" - [A-Z]", text)


def _plain(text: str, words: int) -> bool:
    bad = r"\b[a-z]+\d+\.\d|\b(?:for|and|with|or|of|[Pp]ediatric|[Aa]dult)$|https?:|Table|see\b|[a-z]\.[A-Z]| - |[a-z] [A-Z][a-z]+:|[†‡§¶*|]|\bN/?A\b|\(\s*\)"
    return 1 <= len(text.split()) <= words and not re.search(bad, text) and text.count("(") == text.count(")")
