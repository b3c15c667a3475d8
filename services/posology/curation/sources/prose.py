"""Documents that are no labels: blocks of text under headings become sections of one subject."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from posology.curation import codes
from posology.curation.domain import Drop, Label, Section, content_id
from posology.curation.sources import Parsed, Unreadable


@dataclass
class Block:
    """What stands under one heading: its title, the page where it begins (0 = no pages), lines, the heading's level."""

    title: str
    page: int = 0
    lines: list[str] = field(default_factory=list)
    level: int = 2


def document_of(name: str, blocks: Sequence[Block], *, subject: str = "", drops: tuple[Drop, ...] = ()) -> Parsed:
    """The sections of one document; `subject` is what it is about, else its first heading of level 1, else its name."""
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0].replace("_", " ").replace("-", " ")
    first = next((block.title for block in blocks if block.level == 1 and block.title), "")
    drug = (subject or first or stem).casefold()
    label = Label(set_id="", version=0, drug=drug, ingredients=(), source=name)
    sections = []
    for block in blocks:
        text = "\n".join(" ".join(line.split()) for line in block.lines if line.strip())
        if text:
            sections.append(
                Section(
                    id=content_id("s", name, block.title, text),
                    drug=drug,
                    set_id="",
                    code=codes.code_of_title(block.title),
                    title=block.title or drug,
                    text=text,
                    source=f"{name}#page={block.page}" if block.page else name,
                )
            )
    if not sections:
        raise Unreadable("holds no text")
    return Parsed(label=label, sections=tuple(sections), drops=drops)
