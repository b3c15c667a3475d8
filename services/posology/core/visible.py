"""Characters that a reader does not see, written out or named: for screens, terminals and what people sign.

A pharmacist signs the text on the screen; what trains must be that text, and what a terminal shows must be what was
said. Terminal escapes, bidirectional overrides and other invisible characters let the two differ (Boucher and Anderson,
"Trojan Source", 2021). Which those are is Unicode's: controls, format characters, halves of surrogate pairs, private
use, line separators, non-characters, and what it calls default ignorable (DerivedCoreProperties.txt).

Nor is seen what stands beyond hundreds of blanks, under a heap of marks, or in the shape of another: a Bengali four
looks like an 8, a Cyrillic letter within a Latin word like a Latin one (Unicode Technical Standard 39).
"""

import re
import unicodedata
from functools import lru_cache

# Everything outside these ranges of common scripts and signs is looked at one by one.
_LIKE_LATIN = "\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bd\u03bf"
"""Greek letters that look like Latin ones; others stand beside Latin letters rightly (IFN-\u03b1, \u03bcg)."""
_SUSPECT = re.compile(
    r"[^\t\n\x20-\x7e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u03ff\u2010-\u2027\u2030-\u205e\u2190-\u22ff]"
    rf"|(?<=[A-Za-z])[{_LIKE_LATIN}]|[{_LIKE_LATIN}](?=[A-Za-z])"
)
_BLANKS = frozenset(
    "\u034f\u115f\u1160\u2065\u2800\u3164\uffa0\u17b4\u17b5\u180b\u180c\u180d\u180f\ufffc\U0001d159\U00016fe4"
)
"""Letters, marks and signs by category that leave nothing on the screen."""
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_SAME_SHAPE = ("MATHEMATICAL", "FULLWIDTH", "SEGMENTED", "OUTLINED")
"""Digits whose shape is that of the ASCII ones."""
_MOST_MARKS = 4
"""On one letter, as Tibetan and Hebrew with accents need them."""
_GAP = re.compile(r"\s{30,}")
_MOST_BLANKS, _MOST_LINES = 400, 30
"""In one gap: beyond it nobody looks for more text."""
_JOINERS = frozenset("\u200c\u200d")
_LATIN_ENDS = "\u024f"


def visible(text: str) -> str:
    """The text with every character that does not show written out, as "[U+202E]"; tabs and line ends stay.

    The form is of ASCII and no markup of Rich, so that any terminal and any page can show it.
    """
    shown = _SUSPECT.sub(lambda at: f"[U+{ord(at.group()):04X}]" if _is_hidden(at) else at.group(), text)
    return _GAP.sub(lambda at: f" [{len(at.group())} blanks] " if _is_wide(at.group()) else at.group(), shown)


def hidden(text: str) -> str:
    """The first character that a reader would not see, as "U+202E (RIGHT-TO-LEFT OVERRIDE)"; "" if none."""
    found = next((_name(at.group()) for at in _SUSPECT.finditer(text) if _is_hidden(at)), "")
    gaps = (f"{len(at.group())} blanks in a row" for at in _GAP.finditer(text) if _is_wide(at.group()))
    return found or next(gaps, "")


def _is_wide(gap: str) -> bool:
    return len(gap) >= _MOST_BLANKS or gap.count("\n") >= _MOST_LINES


def _is_hidden(at: re.Match[str]) -> bool:
    character, text = at.group(), at.string
    before, after = text[at.start() - 1 : at.start()], text[at.end() : at.end() + 1]
    if character == "\r":  # alone it sends the cursor back over what was written
        return after != "\n"
    if character in _JOINERS:  # they join in Persian, in Hindi, in emoji; beside Latin letters they only hide
        return not (before + after) or any(neighbour <= _LATIN_ENDS for neighbour in before + after)
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return True
    if _SELECTORS.match(character):
        return not _takes_selector(before, after)
    number = ord(character)
    return (
        character in _BLANKS
        or _looks_like_another(character, before, after, text)
        or _is_heaped(at)
        or 0xE0000 <= number <= 0xE0FFF
        or 0xFFF0 <= number <= 0xFFF8
        or number & 0xFFFE == 0xFFFE
        or 0xFDD0 <= number <= 0xFDEF
    )


def _takes_selector(before: str, after: str) -> bool:
    """Whether a variation selector can change the shape of what stands before it: of signs, emoji and ideographs, and
    of what a keycap encloses. Behind anything else a chain of them only carries what nobody sees."""
    if after == "\u20e3":
        return True
    return bool(before) and before > "\u00a8" and unicodedata.category(before) in ("So", "Sm", "Sc", "Sk", "Po", "Lo")


def _looks_like_another(character: str, before: str, after: str, text: str) -> bool:
    """Whether it is a digit of a script that the text is not in, or a letter like a Latin one within a Latin word."""
    category = unicodedata.category(character)
    if category == "Nd":
        script = unicodedata.name(character, "").partition(" ")[0].partition("-")[0]
        return script not in _SAME_SHAPE and not _has_letters(script, text)
    if category not in ("Lu", "Ll"):
        return False
    beside_latin = any(neighbour.isascii() and neighbour.isalpha() for neighbour in (before, after))
    return beside_latin and not unicodedata.name(character, "").startswith(("LATIN", "GREEK SMALL LETTER MU"))


@lru_cache(maxsize=8)
def _has_letters(script: str, text: str) -> bool:
    """Kept: a text of nothing but digits of another script asks for each of them."""
    return any(unicodedata.name(one, "").startswith(f"{script} LETTER") for one in text if one > "\u036f")


def _is_heaped(at: re.Match[str]) -> bool:
    """Whether so many marks lie on one letter that what is below can't be read."""
    heap = at.string[max(0, at.start() - _MOST_MARKS) : at.end()]
    return len(heap) > _MOST_MARKS and all(unicodedata.category(one) in ("Mn", "Me") for one in heap)


def _name(character: str) -> str:
    kinds = {"Cc": "control character", "Cs": "half of a surrogate pair", "Co": "private use, no known meaning"}
    otherwise = kinds.get(unicodedata.category(character), "no character")
    return f"U+{ord(character):04X} ({unicodedata.name(character, otherwise)})"
