"""Characters that a reader does not see, written out or named: for screens, terminals and what people sign.

A pharmacist signs the text on the screen; what trains must be that text, and what a terminal shows must be what was
said. Terminal escapes, bidirectional overrides and other invisible characters let the two differ (Boucher and Anderson,
"Trojan Source", 2021). Which those are is Unicode's: controls, format characters, halves of surrogate pairs, private
use, line separators, non-characters, and what it calls default ignorable (DerivedCoreProperties.txt).
"""

import re
import unicodedata

# Everything outside these ranges of common scripts and signs is looked at one by one.
_SUSPECT = re.compile(r"[^\t\n\x20-\x7e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u03ff\u2010-\u2027\u2030-\u205e\u2190-\u22ff]")
_BLANKS = frozenset("\u034f\u115f\u1160\u2065\u2800\u3164\uffa0\u17b4\u17b5\u180b\u180c\u180d\u180f")
"""Letters and marks by category that leave nothing on the screen."""
_JOINERS = frozenset("\u200c\u200d")
_LATIN_ENDS = "\u024f"


def visible(text: str) -> str:
    """The text with every character that does not show written out, as "[U+202E]"; tabs and line ends stay.

    The form is of ASCII and no markup of Rich, so that any terminal and any page can show it.
    """
    return _SUSPECT.sub(lambda at: f"[U+{ord(at.group()):04X}]" if _is_hidden(at) else at.group(), text)


def hidden(text: str) -> str:
    """The first character that a reader would not see, as "U+202E (RIGHT-TO-LEFT OVERRIDE)"; "" if none."""
    return next((_name(at.group()) for at in _SUSPECT.finditer(text) if _is_hidden(at)), "")


def _is_hidden(at: re.Match[str]) -> bool:
    character, text = at.group(), at.string
    before, after = text[at.start() - 1 : at.start()], text[at.end() : at.end() + 1]
    if character == "\r":  # alone it sends the cursor back over what was written
        return after != "\n"
    if character in _JOINERS:  # they join in Persian, in Hindi, in emoji; beside Latin letters they only hide
        return not (before + after) or any(neighbour <= _LATIN_ENDS for neighbour in before + after)
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return True
    number = ord(character)
    return (
        character in _BLANKS
        or 0xE0000 <= number <= 0xE0FFF
        or 0xFFF0 <= number <= 0xFFF8
        or number & 0xFFFE == 0xFFFE
        or 0xFDD0 <= number <= 0xFDEF
    )


def _name(character: str) -> str:
    kinds = {"Cc": "control character", "Cs": "half of a surrogate pair", "Co": "private use, no known meaning"}
    otherwise = kinds.get(unicodedata.category(character), "no character")
    return f"U+{ord(character):04X} ({unicodedata.name(character, otherwise)})"
