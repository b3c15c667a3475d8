"""Readers of Drug Facts labels, whose headings are the stems of their lists: "Do not use", "Stop use and ask a doctor if"."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from collections.abc import Iterator

from posology.curation.teachers.facts import Fact, Place, reader

_ASKS = {
    "34067-9": ("indication", "What is {drug} used for, according to its label?"),
    "50570-1": ("do-not-use", "When should {drug} not be used, according to its label?"),
    "50569-3": ("ask-a-doctor", "In which cases does the label of {drug} say to ask a doctor before use?"),
    "50568-5": (
        "ask-a-doctor",
        "In which cases does the label of {drug} say to ask a doctor or pharmacist before use?",
    ),
    "50567-7": ("when-using", "What does the label of {drug} say to mind when using it?"),
    "50566-9": ("stop-use", "When does the label of {drug} say to stop use and ask a doctor?"),
    "53414-9": ("pregnancy", "What does the label of {drug} say on use in pregnancy or while breast-feeding?"),
    "50565-1": ("overdose-management", "What does the label of {drug} say on children and on an overdose?"),
    "34068-7": ("dosing", "What are the directions on the label of {drug}?"),
    "51727-6": ("section", "Which inactive ingredients does the label of {drug} list?"),
}


@reader("do-not-use", "ask-a-doctor", "when-using", "stop-use", "purpose", "section", codes=" ".join(_ASKS))
def drug_facts(place: Place) -> Iterator[Fact]:
    """Each heading of a Drug Facts label with its list, whole."""
    if not place.is_over_the_counter or not place.alone():
        return
    kind, question = _ASKS[place.code]
    lines = _lines(place)
    words = sum(len(line.split()) for line in lines)
    if not lines or not 2 <= words <= 150 or any(_unsound(line) for line in lines):
        return
    stem = _stem(place, lines)
    if stem and len(lines) == 1:
        text = f"{stem} {lines[0]}"
    else:
        if (
            not stem
            and len(lines) > 1
            and re.search(r"\b(?:if you|if the|have|product|(?<!before )use|are)$", lines[0].rstrip(":"))
        ):
            stem, lines = lines[0].rstrip(":"), lines[1:]
        listed = _listed(lines)
        text = "\n".join([f"{stem}:"] * bool(stem) + listed)
    text = re.sub(r"(?<=[a-z]),(?=[a-z])", ", ", text)
    answer = f"The label of {place.name} states:\n{text}"
    if place.code == "50565-1" and not re.search(r"overdose|swallow|ingest|poison", text, re.IGNORECASE):
        question = "What does the label of {drug} say on children?"
        kind = "ask-a-doctor"
    yield Fact(kind, (question.format(drug=place.name),), answer, evidence="\n".join(_lines(place)))


_USE = re.compile(
    r"(?:temporarily |for the temporary |for |helps? )?(?:relieves?|reduces?|prevents?|treats?|controls?|relief|decreases?|protects?)\b",
    re.IGNORECASE,
)


def _listed(lines: list[str]) -> list[str]:
    """Items with a dash; a line that others continue ("relieves", "due to:") stands above them without one."""
    listed: list[str] = []
    for number, line in enumerate(lines):
        follower = lines[number + 1] if number + 1 < len(lines) else ""
        opens = line.endswith(":") or bool(re.fullmatch(_USE.pattern, line, re.IGNORECASE))
        if number and listed[0].endswith(":") and line.casefold().startswith("temporarily") and not opens:
            listed.append(line)
        elif opens and follower:
            listed.append(f"{line.rstrip(':')}:")
        else:
            listed.append(line if re.match(r"[A-Z].*\.$", line) else f"- {line}")
    return listed


@reader("purpose", codes="55105-1")
def purpose(place: Place) -> Iterator[Fact]:
    """What the active ingredient is for; with several ingredients nobody can tell which purpose is whose."""
    text = " ".join(place.section.text.split())
    if (
        place.alone()
        and not re.search(r",| and ", place.section.drug)
        and 1 <= len(text.split()) <= 6
        and "." not in text
    ):
        question = f"What is the purpose of {place.name}, according to its label?"
        yield Fact("purpose", (question,), f"The label of {place.name} gives its purpose as “{text}”.", evidence=text)


def _lines(place: Place) -> list[str]:
    """The section line by line, bullets off; a table's rows as "adults: take 2"."""
    lines: list[str] = []
    for raw in place.section.text.replace("\ufeff", "").split("\n"):
        if raw.strip().startswith("|"):
            cells = [cell for part in raw.strip("| ").split("|") if (cell := part.strip(" •-"))]
            if len(cells) != 2:
                return []
            directions = re.sub(r";?\s*[•▪●■]\s*", "; ", cells[1])
            lines.append(f"{cells[0].rstrip(':')}: {directions}")
        else:
            parts = re.split(r"\s*[•▪●■]\s*", re.sub(r"^\s*[-•▪●■]\s*", "", raw))
            lines.extend(part.strip() for part in parts if part.strip(" .-"))
    return [line for line in lines if not _OF_THE_TABLE.match(line)]


_OF_THE_TABLE = re.compile(
    r"(?:age:? dose|age \(yr\):? dose|(?:find|see) (?:the )?(?:right )?dose (?:on|in) (?:the )?(?:chart|table) below\.?)$",
    re.IGNORECASE,
)


def _stem(place: Place, lines: list[str]) -> str:
    title = " ".join(place.section.title.replace("\ufeff", "").split()).strip(" :,")
    first = lines[0].casefold()
    says = {
        "50570-1": "do not use",
        "50569-3": "ask a doctor",
        "50568-5": "ask a doctor",
        "50567-7": "when using",
        "50566-9": "stop use",
    }
    expected = says.get(place.code, "")
    if expected and first.startswith(expected):
        return ""
    if place.code == "53414-9":
        return "" if first.startswith("if ") else "If pregnant or breast-feeding,"
    if place.code in {"34067-9", "34068-7", "51727-6"}:
        return ""
    whole = re.search(
        r"\b(?:if|if you(?: have| are)?|when using this product|do not use)$|if the child", title, re.IGNORECASE
    )
    fits = title.casefold().startswith(expected or "keep out") and not first.startswith(("keep out", "do not"))
    return title if fits and (whole or place.code == "50565-1") else ""


def _unsound(line: str) -> bool:
    glued = (
        r"[a-z]\.[A-Z]|https?:|www\.|\bNDC|Questions|Drug Facts|[a-z](?:if|for)you\b|\buseif\b|\. \. \.|[a-z]:[a-z]|°–"
    )
    return bool(re.search(glued, line)) or line.count("(") != line.count(")") or len(line.split()) > 70
