"""Text whose markup was taken away without a space in its place: "DirectionsApply", "exposure.Reapply at".

Only white space is put in; no character is changed or lost, so every number stays what it is. Words that are written so
on purpose (NovoLog, HbA1c, pH, mg/mL) stay whole: a word is parted only where both its parts are words of their own in
the same text, or where the first is a heading of Drug Facts.
"""

import re
from collections import Counter

_HEADINGS = (
    "Active ingredients?|Inactive ingredients?|Purposes?|Uses?|Warnings?|Directions|Other information|Questions\\\\?|"
    "Indications(?: and Usage)?|Storage(?: and Handling)?|Dosage(?: and Administration)?"
)
# What starts a line of Drug Facts (21 CFR 201.66), and ran on after the markup went.
_STARTS = (
    "Do not use|When using this product|Stop use and ask|Ask a doctor|If pregnant|Keep out of reach|"
    "For external use only|For rectal use only|For vaginal use only|Allergy alert|Reye's syndrome|Liver warning|"
    "Stomach bleeding warning|In case of overdose|If swallowed"
)
_GLUED_HEADING = re.compile(rf"\\b({_HEADINGS})(?=[A-Z][a-z])".replace("\\\\", "\\"))
_GLUED_STOP = re.compile(r"(?<=[a-z)\]]{2})([.!?])(?=[A-Z][a-z]|[A-Z] |\d+ [a-z]|[•(])")
_GLUED_VALUE = re.compile(  # "25°C.Protect", "of 7.4.Store", "5mgDaily", "(77°F)Keep", "use if(1)", "dailyWarnings:"
    r"(?:(?<=[°º][CF])|(?<=\d)|(?<=%))([.!?])(?=[A-Z][a-z]{2})"
    r"|(?<=\d[mk]g)(?=[A-Z][a-z]{2})|(?<=\dmL)(?=[A-Z][a-z]{2})|(?<=\dmcg)(?=[A-Z][a-z]{2})"
    r"|(?<=[\da-zFC][)\]])(?=[A-Z][a-z]+ )|(?<=[a-z]{2})(?=\(\d\) ?[a-z])"
    rf"|(?<=[a-z]{{2}})(?=(?:{_HEADINGS}):)".replace("\\\\", "\\")
)
_GLUED_COLON = re.compile(r"(?<=[a-z]{2}):(?=[A-Z][a-z])")
_GLUED_BULLET = re.compile(r"(?<=\S)(?=[•■●▪])")
_RUN_ON = re.compile(rf"(?<=[a-z)]) (?=(?:{_STARTS})\b)")
_CAMEL = re.compile(r"\b([A-Z]?[a-z]{2,})([A-Z][a-z]{2,})\b")
_WORD = re.compile(r"(?<![\w-])[A-Za-z][a-z]+(?![\w-])")


def unglue(text: str) -> str:
    """The text with spaces and line ends where the label had them, as far as that can be told."""
    parted = _GLUED_HEADING.sub(r"\1 ", text)
    parted = _GLUED_STOP.sub(r"\1 ", parted)
    parted = _GLUED_VALUE.sub(lambda m: f"{m[1] or ''} ", parted)
    parted = _GLUED_COLON.sub(": ", parted)
    parted = _GLUED_BULLET.sub("\n", parted)
    parted = _part_words(parted)
    return "\n".join(line.strip() for line in _RUN_ON.sub("\n", parted).split("\n") if line.strip())


def _part_words(text: str) -> str:
    """A name in camel case is written so each time; a glued pair of words once, and its parts stand alone elsewhere."""
    glued = Counter(match.group() for match in _CAMEL.finditer(text))
    if not glued:
        return text
    words = {word.casefold() for word in _WORD.findall(text)} | _COMMON

    def parted(match: re.Match[str]) -> str:
        first, second = match.groups()
        alone = first.casefold() in words and second.casefold() in words
        return f"{first} {second}" if alone and glued[match.group()] < _OFTEN else match.group()

    return _CAMEL.sub(parted, text)


_OFTEN = 4
_COMMON_TEXT = """
    the a an and or of in to for with on at by from as is are was were be not no do if when may should can must see this
    that these each all any take use apply give store keep ask stop tell call patients adults children dose doses daily
    day days hour hours tablet tablets capsule capsules doctor product drug drugs table
"""
_COMMON = frozenset(_COMMON_TEXT.split())
