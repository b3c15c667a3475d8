"""Which sentences of a section can be evidence: whole, readable, and understood without their neighbours."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from functools import lru_cache

from . import codes
from .domain import Section
from .text import sentences, without_references

_NOT_PROSE = re.compile(
    r"https?:|www\.|@|\b1-8\d\d|\bTable \d|\bFigure \d|\|\s|NDC|\bRx\b|[Mm]ed[Gg]uide|\bfda\b|FDA-1088|MedWatch|_{3,}|\.{3,}|"
    r"\bRevised\b|\bLOT\b|\bEXP\b|©|™|\[\s*see|\bTo report\b|\bN\s?=\s?\d|\bn\s?=\s?\d",
)
_GLUED_HEADING = re.compile(r"^(?:(?:[A-Z][A-Z&/,()-]+|AND|OF|IN|FOR)\s+)+(?=(?:The |In |[A-Z][a-z]+ ))")
_LEANS_BACK = re.compile(
    r"^(?:It|Its|They|Their|These|This|Those|That|Such|However|Therefore|Thus|In addition|Additionally|Also|Furthermore|Moreover|"
    r"Similarly|Both|He|She|Other|Another|Although these|If so|Or|And|But|Then|Hence|Conversely|As a result|For example|"
    r"In this|In these|Of these|Here|There (?:was|were))\b",
)


_SUBHEADINGS = re.compile(
    r"^(?:(?:Absorption|Distribution|Elimination|Metabolism|Excretion|Dosage|Hypersensitivity|General|Adults?|Pediatrics?|Risk Summary|"
    r"Clinical Considerations|Data|Human Data|Animal Data|Effect of Food|Food Effect|Specific Populations|Prevention or Management|"
    r"Clinical Impact|Clinical Comment|Mechanism|Administration|Overview|Storage|Pharmacokinetics|Pharmacodynamics|Intervention|"
    r"Carcinogenesis|Mutagenesis|Impairment of Fertility|Absorption and Distribution|Hepatotoxicity|Hypotension)[ :—-]+)+(?=[A-Z])"
)


@lru_cache(maxsize=4096)
def usable_sentences(section: Section) -> tuple[str, ...]:
    """Sentences fit to be shown: no headings, tables, addresses or fragments; in order, without repeats."""
    found = (_trimmed(sentence, section) for sentence in sentences(section.text))
    return tuple(dict.fromkeys(s for s in found if _is_prose(without_references(s))))


def _trimmed(sentence: str, section: Section) -> str:
    """The sentence without a heading that a flat text glued to its front."""
    for title in (section.title, codes.title_of(section.code)):
        if (
            title
            and sentence.casefold().startswith(title.casefold() + " ")
            and sentence[len(title) + 1 :][:1].isupper()
        ):
            sentence = sentence[len(title) + 1 :]
    sentence = _SUBHEADINGS.sub("", sentence)
    heading = _GLUED_HEADING.match(sentence)
    keeps_name = heading and any(word in heading.group().casefold() for word in section.drug.split())
    return sentence[heading.end() :] if heading and not keeps_name else sentence


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
        and not _two_headings(words)
    )


def _two_headings(words: list[str]) -> bool:
    """Flat text glues "Postural Hypotension A pooled analysis": several capitalised words, then a sentence start."""
    return (
        len(words) > 3
        and all(w[:1].isupper() for w in words[:3])
        and any(w in {"A", "The", "In", "Of", "An"} for w in words[1:5])
    )


def leans_back(sentence: str) -> bool:
    """Whether the sentence needs the one before it: "It", "These", "However"."""
    return bool(_LEANS_BACK.match(sentence))


def spelled(drug: str, sentence: str) -> str:
    """The drug as the sentence spells it ("Chalkefenn"), or as it is known; capitals throughout are no spelling."""
    found = re.search(rf"\b{re.escape(drug)}\b", sentence, re.IGNORECASE)
    return found.group() if found and not found.group().isupper() else drug
