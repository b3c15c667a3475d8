"""Formats of sources: one file each, registered under the name that a spec uses.

A format turns one file into labels with sections, or into ready-made pairs. A new format is a new module here and
one line in the list at the end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from posology.curation.domain import Drop, Label, Pair, Section


@dataclass(frozen=True)
class Document:
    """One file of a source, read whole: its bytes, and its name relative to the source's root."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Parsed:
    """What one label (or one file of pairs) gave."""

    label: Label | None = None
    sections: tuple[Section, ...] = ()
    pairs: tuple[Pair, ...] = ()
    drops: tuple[Drop, ...] = field(default=())


class Unreadable(Exception):
    """This file cannot be used; the message says what is wrong with it, without its name."""


Reader = Callable[[Document], Iterator[Parsed]]


@dataclass(frozen=True)
class Format:
    """A way to read files: which endings belong to it, and the function that does it."""

    name: str
    endings: tuple[str, ...]
    read: Reader


FORMATS: dict[str, Format] = {}


def source(name: str, *endings: str) -> Callable[[Reader], Reader]:
    """Register a reader as the format `name` for files with these endings."""

    def register(read: Reader) -> Reader:
        FORMATS[name] = Format(name, endings, read)
        return read

    return register


from posology.curation.sources import jsonl, openfda, spl, text  # noqa: E402, F401  each registers itself
