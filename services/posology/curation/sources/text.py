"""Guidelines and other prose: plain text and Markdown, cut into sections at their headings."""

import re
from collections.abc import Iterator

from posology.curation import codes
from posology.curation.domain import Label, Section, content_id
from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.characters import clean
from posology.curation.sources.encoding import decode

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_NUMBERED = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2})*\.?\s+)?[A-Z][A-Z0-9 ,&/()-]{3,79}$")


@source("MARKDOWN", ".md", ".markdown")
def read_markdown(document: Document) -> Iterator[Parsed]:
    """One document per file; its first heading of level one names what it is about."""
    blocks: list[tuple[int, str, list[str]]] = [(0, "", [])]
    fenced = False
    for line in clean(decode(document.data)).splitlines():
        fenced ^= line.strip().startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading:
            blocks.append((len(heading.group(1)), heading.group(2), []))
        else:
            blocks[-1][2].append(line)
    subject = next((title for level, title, _ in blocks if level == 1), "")
    yield _document(document, subject, [(title, lines) for _, title, lines in blocks])


@source("TEXT", ".txt", ".text")
def read_text(document: Document) -> Iterator[Parsed]:
    """One document per file; a short line in capitals starts a section."""
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for line in clean(decode(document.data)).splitlines():
        if _NUMBERED.match(line.strip()):
            blocks.append((line.strip(), []))
        else:
            blocks[-1][1].append(line)
    yield _document(document, "", blocks)


def _document(document: Document, subject: str, blocks: list[tuple[str, list[str]]]) -> Parsed:
    stem = document.name.rsplit("/", 1)[-1].rsplit(".", 1)[0].replace("_", " ").replace("-", " ")
    drug = (subject or stem).casefold()
    label = Label(set_id="", version=0, drug=drug, ingredients=(), source=document.name)
    parts = (_section(label, title, _paragraphs(lines)) for title, lines in blocks)
    sections = tuple(section for section in parts if section)
    if not sections:
        raise Unreadable("holds no text")
    return Parsed(label=label, sections=sections)


def _section(label: Label, title: str, text: str) -> Section | None:
    if not text:
        return None
    return Section(
        id=content_id("s", label.source, title, text),
        drug=label.drug,
        set_id="",
        code=codes.code_of_title(title),
        title=title or label.drug,
        text=text,
        source=label.source,
    )


def _paragraphs(lines: list[str]) -> str:
    """Wrapped lines joined to paragraphs; list items and table rows stay lines of their own."""
    paragraphs: list[str] = []
    open_paragraph = False
    for line in (raw.strip() for raw in lines):
        alone = bool(re.match(r"^(?:[-*•|]|\d{1,2}[.)])\s*", line))
        if open_paragraph and line and not alone:
            paragraphs[-1] += " " + line
        elif line:
            paragraphs.append(line)
        open_paragraph = bool(line) and not line.startswith("|")
    return "\n".join(_table_rule(" ".join(p.split())) for p in paragraphs if not re.fullmatch(r"[-=*_\s]+", p))


def _table_rule(line: str) -> str:
    """The rule below a table's head in the one spelling that `tables` uses."""
    rule = re.fullmatch(r"\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?", line)
    return "| " + " | ".join(["---"] * len(line.strip("| ").split("|"))) + " |" if rule else line
