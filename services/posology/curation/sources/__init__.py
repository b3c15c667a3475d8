"""Formats of sources: one file each, registered under the name that a spec uses.

A format turns one file into labels with sections, or into ready-made pairs. A new format is a new module here and
one line in the list at the end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from posology.core.visible import hidden, visible
from posology.curation.domain import Drop, Label, Message, Pair, Section
from posology.curation.sources.characters import clean


@dataclass(frozen=True)
class Document:
    """One file of a source, read whole: its bytes, its name relative to the source's root, and what the source asks."""

    name: str
    data: bytes
    homeopathic: bool = False  # read homeopathic products too, which are left out otherwise


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
    """Register a reader as the format `name` for files with these endings.

    Whatever the format, a section or pair with characters that a reader cannot see becomes a drop; see `characters`.
    """

    def register(read: Reader) -> Reader:
        def readable(document: Document) -> Iterator[Parsed]:
            try:
                for parsed in read(document):
                    yield _without_hidden(parsed, document.name)
            except Unreadable as error:
                raise Unreadable(visible(str(error))) from None

        FORMATS[name] = Format(name, endings, readable)
        return readable

    return register


def _without_hidden(parsed: Parsed, name: str) -> Parsed:
    drops = [replace(drop, detail=visible(drop.detail)) for drop in parsed.drops]
    sections: list[Section] = []
    for section in parsed.sections:
        if character := hidden(clean(section.text + section.title + section.drug)):
            detail = f"section {visible(section.title)!r} holds {character}, which a reader does not see"
            drops.append(Drop("source", "hidden_characters", detail, name))
        else:
            sections.append(
                replace(section, text=clean(section.text), title=clean(section.title), drug=clean(section.drug))
            )
    pairs: list[Pair] = []
    for number, pair in enumerate(parsed.pairs, 1):
        texts = [*(message.content for message in pair.prompt), pair.answer, pair.drug, *pair.tags, pair.question_type]
        if character := next(filter(None, (hidden(clean(written)) for written in texts)), ""):
            detail = f"pair {number} holds {character}, which a reader does not see"
            drops.append(Drop("source", "hidden_characters", detail, name))
        else:
            prompt = tuple(Message(message.role, clean(message.content)) for message in pair.prompt)
            pairs.append(replace(pair, prompt=prompt, answer=clean(pair.answer), drug=clean(pair.drug)))
    label = replace(parsed.label, drug=clean(parsed.label.drug)) if parsed.label else None
    return Parsed(label=label, sections=tuple(sections), pairs=tuple(pairs), drops=tuple(drops))


from posology.curation.sources import docx, html, jsonl, openfda, pdf, spl, text  # noqa: E402, F401  each registers itself
