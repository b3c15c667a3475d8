"""What is said of several doses, said once."""

from collections.abc import Iterable

_HAS = " You have "


def once(notes: Iterable[str]) -> list[str]:
    """Each note once, in order; notes that differ only in what a dose has become one that names what all have."""
    values: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        text, _, has = note.partition(_HAS)
        values.setdefault(text, []).append(has.removesuffix("."))
    return [_joined(text, have) for text, have in values.items()]


def _joined(text: str, have: list[str]) -> str:
    if have == [""]:
        return text
    return f"{text}{_HAS}{have[0]}." if len(have) == 1 else f"{text} Doses have {', '.join(have)}."
