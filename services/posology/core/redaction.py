"""Takes what names a person out of a text: the identifiers of 45 CFR 164.514(b)(2) that have a shape of their own.

Names of people have no such shape except beside a word that announces them (`Patient: `, `Mr.`, `my name is`);
what a pattern can't see stays, so redacted text is safer, not anonymous. Doses, strengths, codes of drugs and ages
up to 89 stay: the text has to remain worth reading.
"""

import json
import re
from typing import Any

_UPPER = "[A-ZÀ-ÖØ-Þ]"
_NAME = rf"{_UPPER}[\w'’-]+(?:[ \t]+(?:{_UPPER}\.|{_UPPER}[\w'’-]*)){{0,3}}"
"""Words with capitals; a full stop belongs to an initial alone, or the name would go on into the next sentence."""
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DATE = (
    r"(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{2,4}|(?:\d{1,2}\.?\s{1,3})?"
    rf"{_MONTH}\s{{1,3}}\d{{1,2}}(?:st|nd|rd|th)?,?\s{{1,3}}\d{{4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?\s{{1,3}}(?:of\s{{1,3}})?{_MONTH},?\s{{1,3}}\d{{4}})"
)
_GOES_ON = r"(?:and|i|but|who|from|age|aged|is|was|my|the|a|an|for|with|on|in|at|to|or|takes?|has|needs?|of|not)\b"
_WORD_OF_NAME = rf"(?!{_GOES_ON})[^\W\d_][\w'’-]*"
_ANY_NAME = rf"{_WORD_OF_NAME}(?:[ \t]{{1,3}}{_WORD_OF_NAME}){{0,2}}"
"""A name in any letter case, as people type in a chat: up to three words, none of which goes on with a sentence."""
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("EMAIL", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b")),
    ("URL", re.compile(r"\b(?:https?://|www\.)[^\s\"'<>]{1,2000}")),
    ("SSN", re.compile(r"\b\d{3}[- ]\d{2}[- ]\d{4}\b")),
    ("SSN", re.compile(r"(?i)\b(?:SSN|social security(?: number| no\.?)?)\s{0,3}[:#]?\s{0,3}\d{9}\b")),
    ("ADDRESS", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")),
    (
        "RECORD",
        re.compile(
            r"(?i)\b(?:MRN|medical record|record no|patient (?:id|no)|chart (?:no|number)|account(?: no)?|"
            r"insurance(?: id)?|policy|member(?: id)?|NHS(?: no| number)?|passport|licen[cs]e)"
            r"\.?(?: number| no\.?)?\s{0,3}[:#]?\s{0,3}(?=[A-Z0-9-]*\d)[A-Z0-9][A-Z0-9-]{3,20}\b"
        ),
    ),
    ("PHONE", re.compile(r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)|\d{3})[ .-]\d{3}[ .-]\d{3,4}(?!\w|\.\d)")),
    ("PHONE", re.compile(r"(?<![\w.-])\d{10}(?![\w-])")),
    ("PHONE", re.compile(r"(?<![\w.])\+\d{1,3}(?:[ .-]?\d{2,4}){2,5}\b")),
    (
        "DATE",
        re.compile(rf"(?i:\b(?:born(?: on)?|DOB|date of birth|birth ?date|birthday)\b)\s{{0,3}}[:.]?\s{{0,3}}{_DATE}"),
    ),
    ("DATE", re.compile(rf"\b{_DATE}(?!\w)")),
    ("AGE", re.compile(r"(?i)\b(?:9\d|1[0-2]\d)[- ]?(?:years?[- ](?:old|of age)|y/?o)\b")),
    ("AGE", re.compile(r"(?i)\baged? (?:9\d|1[0-2]\d)\b")),
    (
        "NAME",
        re.compile(
            rf"(?<!drug )(?<!Drug )(?<!brand )(?<!Brand )(?<!generic )(?<!Generic )(?<!trade )(?<!Trade )(?<!product )"
            rf"(?i:\bname\s{{0,3}}[:=]\s{{0,3}}){_NAME}"
        ),
    ),
    ("NAME", re.compile(rf"(?i:\b(?:patient(?:'s)?(?: name)?|pt)\s{{0,3}}[:=]\s{{0,3}}){_NAME}")),
    ("NAME", re.compile(rf"(?i:\bmy name(?: is|['’]s)\s{{1,3}}){_NAME}")),
    ("NAME", re.compile(rf"(?i)\bmy name(?: is|['’]s)\s{{1,3}}{_ANY_NAME}")),
    ("NAME", re.compile(rf"(?i)\b(?:patient(?:'s)?(?: name)?|pt)\s{{0,3}}[:=]\s{{0,3}}{_ANY_NAME}")),
    ("NAME", re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof)\.?\s{{1,3}}{_NAME}")),
    (
        "STREET",
        re.compile(
            r"\b\d{1,5}\s{1,2}(?:[A-Z][\w'.-]{1,30}\s{1,2}){1,4}"
            r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way)\b\.?"
        ),
    ),
)


def redacted(text: str) -> str:
    """`text` with `[EMAIL]`, `[PHONE]`, `[DATE]` ... where an identifier stood. Linear in the text's length."""
    for kind, pattern in _PATTERNS:
        text = pattern.sub(f"[{kind}]", text)
    return text


def redacted_json(text: str) -> str:
    """JSON whose texts are redacted one by one: as they were written, not as JSON escapes them. What is no JSON is
    redacted as it stands."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return redacted(text)
    return json.dumps(_within(content), ensure_ascii=False, separators=(",", ":"))


def _within(content: Any) -> Any:
    if isinstance(content, str):
        return redacted(content)
    if isinstance(content, dict):
        return {key: _within(value) for key, value in content.items()}
    return [_within(value) for value in content] if isinstance(content, list) else content
