"""Characters that a reader does not see and that mean nothing, taken out of sources.

Spaces without width and soft hyphens come from web pages and word processors by the thousand: they go. What is left
and does not show could deceive (`posology.core.visible`), so a section or pair that holds one is refused with its name.
"""

import re

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
_LATIN = re.compile(r"(?<=[\u0000-\u024f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\u0000-\u024f])")
_RETURN = re.compile(r"\r(?!\n)")
_PLAIN = re.compile(r"[\t\n\x20-\x7e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u03ff\u2010-\u2027\u2030-\u205e\u2190-\u22ff]*")


def clean(text: str) -> str:
    """The text without characters of no width and no meaning; other line ends become a line feed."""
    if _PLAIN.fullmatch(text):
        return text
    return _LATIN.sub("", _RETURN.sub("\n", text.translate(_TABLE)))
