"""Plain text of labels: one normal form to compare by, and sentences that can stand alone."""

import re
import unicodedata
from functools import lru_cache

_ABBREVIATIONS_TEXT = """
    e.g i.e vs dr mr mrs ms no approx etc inc ltd co corp st fig figs al resp max min ref refs vol ed u.s q.d
    b.i.d t.i.d q.i.d p.o i.v i.m s.c sp spp subsp cf ca
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
_BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9•])")
_CHAPTER = (
    r"(?:Boxed Warnings?|Warnings and Precautions|Clinical Pharmacology|Clinical Studies|Use in Specific Populations|"
    r"Dosage and Administration|Adverse Reactions|Contraindications|Drug Interactions|Indications and Usage|Overdosage)"
)
_REFERENCE = re.compile(
    r"\s*[\[(]\s*(?:s\s?ee(?: also)?|refer to)\b[^\])]*?(?:\([^)]*\)[^\])]*?)*[\])]"  # [see Warnings (5.1)]
    r"|\s*\(\s*\d{1,2}(?:\.\d{1,2})*(?:\s*,\s*\d{1,2}(?:\.\d{1,2})*)*\s*\)(?!\s*(?:mg|mL|%))"  # (5.1, 7)
    rf"|\s*\[\s*{_CHAPTER}(?:(?:\s*[,;&]\s*(?:and\s+)?|\s+and\s+){_CHAPTER})*"  # [Clinical Studies]
    r"\s*(?:\([\d., ]+\)|\x02)?\s*\.?\s*\]",  # or the sign that stands for a bare reference
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[•·▪◦*-]|\d{1,2}[.)])\s+")


def normal(text: str) -> str:
    """The form in which two texts are the same text: NFKC, single spaces, no case."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers; a decimal number is one token, punctuation is none."""
    return re.findall(r"\d+(?:[.,]\d+)*|[^\W\d_]+", normal(text))


def is_table_row(line: str) -> bool:
    """Rows of tables are kept in sections, but are no sentences."""
    return line.startswith("|")


def sentences(text: str) -> list[str]:
    """The sentences of a section in order; table rows are left out, list items count as sentences."""
    found: list[str] = []
    for line in text.splitlines():
        if line.strip() and not is_table_row(line):
            found.extend(split_sentences(_BULLET.sub("", line.strip())))
    return found


def split_sentences(line: str) -> list[str]:
    """The sentences of one line, in order."""
    parts: list[str] = []
    start = 0
    for boundary in _BOUNDARY.finditer(line):
        if _ends_sentence(line[start : boundary.start()]):
            parts.append(line[start : boundary.start()].strip())
            start = boundary.end()
    parts.append(line[start:].strip())
    return [part for part in parts if part]


def _ends_sentence(before: str) -> bool:
    words = before.rstrip(" .!?").split()
    last = words[-1].lstrip("([").casefold() if words else ""
    open_brackets = before.count("(") + before.count("[") - before.count(")") - before.count("]")
    return bool(last) and last not in _ABBREVIATIONS and not (len(last) == 1 and last.isalpha()) and open_brackets <= 0


@lru_cache(maxsize=8192)
def without_references(sentence: str) -> str:
    """The sentence without "[see Warnings (5.1)]", which leads nowhere outside the label."""
    return re.sub(r"\s+([.,;:])", r"\1", " ".join(_REFERENCE.sub("", sentence).split()))
