"""Text of others as a person may read it: what is invisible or turns the line around is shown by its number."""

import unicodedata

_KEPT = {"\n", "\t"}


def visible(text: str) -> str:
    """The text with control, bidi, zero-width and unpaired characters written out, as ⟨U+202E⟩."""
    return "".join(character if _is_plain(character) else f"⟨U+{ord(character):04X}⟩" for character in text)


def _is_plain(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
