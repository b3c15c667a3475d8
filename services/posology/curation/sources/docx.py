"""Word documents: paragraphs, lists and tables in their order, cut into sections at the styles of headings.

Read by python-docx (MIT), the one well-kept reader of the format; what was deleted under tracked changes is left out,
what was inserted is read. It is imported when a document is read; the services do without it.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.prose import Block, document_of
from posology.curation.sources.raised import lowered, raised
from posology.curation.sources.tables import Cell, as_lines

_MOST_BYTES = 500_000_000  # unpacked
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


@source("DOCX", ".docx")
def read_docx(document: Document) -> Iterator[Parsed]:
    """One document per file; its title, or its first heading of level one, names what it is about."""
    import docx

    try:
        with zipfile.ZipFile(io.BytesIO(document.data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MOST_BYTES:
                raise Unreadable(f"unpacks to more than {_MOST_BYTES:,} bytes")
        opened = docx.Document(io.BytesIO(document.data))
        blocks = _blocks(opened)
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001  python-docx lets every error of damaged XML and zips through
        raise Unreadable(f"cannot be read as a Word document ({type(error).__name__})") from None
    yield document_of(document.name, blocks)


def _blocks(opened: Any) -> list[Block]:
    blocks = [Block("", level=0)]
    for item in opened.iter_inner_content():
        if hasattr(item, "rows"):
            blocks[-1].lines.extend(_table(item))
            continue
        text = " ".join(_text(item._p).split())
        style = str(item.style.name if item.style is not None else "").casefold()
        level = re.fullmatch(r"heading (\d)", style)
        if text and (level or style == "title"):
            blocks.append(Block(text, level=int(level.group(1)) if level else 1))
        elif text:
            listed = "list" in style or item._p.find(f"{_W}pPr/{_W}numPr") is not None
            blocks[-1].lines.append(f"- {text}" if listed else text)
    return blocks


def _table(table: Any) -> list[str]:
    """A merged cell stands in every place that it spans, as python-docx gives it."""
    rows = []
    for row in table.rows:
        rows.append(
            [
                Cell(("; ".join(filter(None, (" ".join(_text(p._p).split()) for p in cell.paragraphs))),))
                for cell in row.cells
            ]
        )
    first = table.rows[0] if table.rows else None
    marked = first is not None and first._tr.find(f"{_W}trPr/{_W}tblHeader") is not None
    bold = (
        bool(rows)
        and first is not None
        and all(run.bold for cell in first.cells for p in cell.paragraphs for run in p.runs if run.text.strip())
    )
    return as_lines(rows, heads=1 if marked or bold else 0)


def _text(paragraph: Any) -> str:
    """All text of a paragraph, of links and insertions too; raised digits keep their meaning."""
    out = ""
    nodes = [
        node for node in paragraph.iter(f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}noBreakHyphen") if not _in_fallback(node)
    ]
    for number, node in enumerate(nodes):
        if node.tag != f"{_W}t":
            out += "-" if node.tag.endswith("noBreakHyphen") else " "
            continue
        align = node.getparent().find(f"{_W}rPr/{_W}vertAlign")
        kind = align.get(f"{_W}val") if align is not None else ""
        text = node.text or ""
        after = nodes[number + 1].text or "" if number + 1 < len(nodes) else ""
        if kind == "superscript":
            out += raised(text, before=out, after=after)
        else:
            out += lowered(text, before=out) if kind == "subscript" else text
    return out


def _in_fallback(node: Any) -> bool:
    return any(parent.tag == _FALLBACK for parent in node.iterancestors())
