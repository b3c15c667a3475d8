"""Which sentences of a section can be evidence: whole, readable, and understood without their neighbours."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from functools import lru_cache

from posology.curation import codes
from posology.curation.domain import Section
from posology.curation.text.normal import sentences, without_references

_NOT_PROSE = re.compile(
    r"https?:|www\.|@|\b1-8\d\d|\bTable \d|\bFigure \d|\|\s|NDC|\bRx\b|[Mm]ed[Gg]uide|\bfda\b|FDA-1088|MedWatch|_{3,}|\.{3,}|"
    r"\bRevised\b|\bLOT\b|\bEXP\b|©|™|\bTo report\b|[a-z]\.[A-Z][a-z]|\b\d{1,2}\.\d{1,2}\s+[A-Z][A-Za-z]|\bN\s?=\s?\d|\bn\s?=\s?\d",
)
_GLUED_HEADING = re.compile(r"^(?:(?:[A-Z][A-Z&/,()-]+|AND|OF|IN|FOR)\s+)+(?=(?:The |In |[A-Z][a-z]+ ))")
_LEANS_BACK = re.compile(
    r"^(?:It|Its|They|Their|These|This|Those|That|Such|However|Therefore|Thus|In addition|Additionally|Also|Furthermore|Moreover|"
    r"Similarly|Both|He|She|Other|Another|Although these|If so|Or|And|But|Then|Hence|Conversely|As a result|For example|"
    r"In this|In these|Of these|Here|There (?:was|were))\b",
)


_STARTERS = frozenset(
    [
        "A",
        "About",
        "Administer",
        "Advise",
        "After",
        "Although",
        "An",
        "As",
        "At",
        "Avoid",
        "Because",
        "Before",
        "Based",
        "Both",
        "By",
        "Consider",
        "Counsel",
        "Data",
        "Discontinue",
        "Do",
        "Due",
        "During",
        "Each",
        "For",
        "Following",
        "Four",
        "From",
        "Give",
        "If",
        "In",
        "Inform",
        "Instruct",
        "It",
        "Monitor",
        "Most",
        "No",
        "None",
        "Of",
        "On",
        "One",
        "Patients",
        "Permanently",
        "Reduce",
        "Safety",
        "Several",
        "Since",
        "Some",
        "Store",
        "Take",
        "The",
        "There",
        "This",
        "Three",
        "Treatment",
        "Two",
        "Under",
        "Use",
        "Use",
        "When",
        "While",
        "Withhold",
        "Women",
    ]
)
_JOINERS = frozenset({"and", "of", "in", "for", "or", "with", "to", "on", "-", "&", "—"})


@lru_cache(maxsize=4096)
def usable_sentences(section: Section) -> tuple[str, ...]:
    """Sentences fit to be shown: no headings, tables, addresses or fragments; in order, without repeats."""
    found = (_trimmed(sentence, section) for sentence in sentences(section.text))
    return tuple(dict.fromkeys(s for s in found if _is_prose(without_references(s))))


def _trimmed(sentence: str, section: Section) -> str:
    """The sentence without a heading that a flat text glued to its front."""
    for title in (section.title, codes.title_of(section.code)):
        rest = sentence[len(title) + 1 :]
        if title and sentence.casefold().startswith(title.casefold() + " ") and rest[:1].isupper():
            sentence = rest
    heading = _GLUED_HEADING.match(sentence)
    keeps_name = heading and any(word in heading.group().casefold() for word in section.drug.split())
    return _from_its_start(sentence[heading.end() :] if heading and not keeps_name else sentence)


def _from_its_start(sentence: str) -> str:
    """ "Embryo-Fetal Toxicity Advise pregnant women" -> from "Advise" on: a word that only ever starts a sentence."""
    words = sentence.split(" ")
    run = next((n for n, word in enumerate(words) if not (word[:1].isupper() or word in _JOINERS)), len(words))
    start = next((n for n in range(min(run, 12) - 1, 0, -1) if words[n].strip(":,") in _STARTERS), 0)
    return " ".join(words[start:])


def _is_prose(sentence: str) -> bool:
    words = sentence.split()
    return (
        4 <= len(words) <= 60
        and sentence[0].isupper()
        and sentence[-1] == "."
        and sentence.count("(") == sentence.count(")")
        and sentence.count("[") == sentence.count("]")
        and not _NOT_PROSE.search(sentence)
        and sum(word.isupper() and word.isalpha() and len(word) > 3 for word in words) <= len(words) / 4
        and not all(word[:1].isupper() for word in words[:3])
    )


def leans_back(sentence: str) -> bool:
    """Whether the sentence needs the one before it: "It", "These", "However"."""
    return bool(_LEANS_BACK.match(sentence))


def spelled(drug: str, sentence: str) -> str:
    """The drug as the sentence spells it ("Chalkefenn"), or as it is known; capitals throughout are no spelling."""
    found = re.search(rf"\b{re.escape(drug)}\b", sentence, re.IGNORECASE)
    return found.group() if found and not found.group().isupper() else drug
