"""Characters that a reader does not see: made harmless where they mean nothing, named where they could deceive.

A pharmacist signs the text on the screen; what trains must be that text. Terminal escapes, bidirectional overrides and
other invisible characters let the two differ (Boucher and Anderson, "Trojan Source", 2021), so a section or pair that
holds one is refused with its name. Spaces without width and soft hyphens come from web pages and word processors by the
thousand and mean nothing: they go.
"""

import re
import unicodedata

_NOTHING = dict.fromkeys(
    map(ord, "\u200b\u2060\ufeff\u00ad\u200e\u180e")
)  # removed: no width, no effect between Latin letters
_LINES = dict.fromkeys(map(ord, "\x0b\x0c\x85\u2028\u2029"), "\n")
# The Symbol and Wingdings fonts of word processors and PDF writers; a lost "less than or equal" would alter a dose.
_SYMBOLS = {
    0xF0B7: "•", 0xF0A7: "•", 0xF0D8: "•", 0xF0FC: "✓", 0xF0B3: "≥", 0xF0A3: "≤", 0xF0B0: "°", 0xF0B1: "±",
    0xF0B4: "×", 0xF0D7: "·", 0xF06D: "µ", 0xF061: "α", 0xF062: "β", 0xF067: "γ", 0xF064: "δ", 0xF0AE: "→",
    0xF0E0: "→", 0xF0A8: "•", 0xF06E: "•", 0xF076: "•", 0xF0AD: "↑", 0xF0AF: "↓", 0xF02D: "-", 0xF03C: "<",
    0xF03E: ">", 0xF03D: "=", 0xF020: " ", 0xF0BB: "≈", 0xF0B9: "≠", 0xF057: "Ω", 0xF06C: "λ", 0xF044: "Δ",
}  # fmt: skip
_TABLE = _NOTHING | _LINES | _SYMBOLS
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")  # letters by category, and nothing on the screen
_LATIN = re.compile(r"(?<=[\u0000-\u024f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\u0000-\u024f])")
_PLAIN = re.compile(r"[\t\n\r\x20-\x7e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u03ff\u2010-\u2027\u2030-\u205e\u2190-\u22ff]*")


def clean(text: str) -> str:
    """The text without characters of no width and no meaning; other line ends become a line feed."""
    if _PLAIN.fullmatch(text):
        return text
    return _LATIN.sub("", text.translate(_TABLE))


def hidden(text: str) -> str:
    """The first character that a reader would not see, as "U+202E (RIGHT-TO-LEFT OVERRIDE)"; "" if none."""
    if _PLAIN.fullmatch(text):
        return ""
    return next((_name(character) for character in text if _deceives(character)), "")


def visible(text: str) -> str:
    """The text with every such character written out, as "[U+001B]": for people who have to judge it."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(f"[U+{ord(c):04X}]" if _deceives(c) or ord(c) in _NOTHING else c for c in text)


def _deceives(character: str) -> bool:
    if character in "\t\n\r\u200c\u200d":  # joiners stay where they join: in Persian, in Hindi, in emoji
        return False
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co"):
        return True
    number = ord(character)
    return (
        character in _BLANKS or 0xE0100 <= number <= 0xE01EF or number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF
    )


def _name(character: str) -> str:
    kinds = {"Cc": "control character", "Cs": "half of a surrogate pair", "Co": "private use, no known meaning"}
    otherwise = kinds.get(unicodedata.category(character), "no character")
    return f"U+{ord(character):04X} ({unicodedata.name(character, otherwise)})"
