"""The text of an SPL block as lines: paragraphs, list items, table rows (see `tables`); raised digits kept apart."""

import re

from lxml import etree

from posology.curation.sources.characters import clean
from posology.curation.sources.raised import lowered, raised
from posology.curation.sources.tables import as_lines, local, rows_of

__all__ = ["local", "plain", "render", "table_rows"]

_BLOCKS_TEXT = """
    paragraph item list table caption title footnote
    p div li ul ol h1 h2 h3 h4 h5 h6 section article main header blockquote pre dl dt dd figure figcaption hr
"""  # of SPL, and of HTML
_BLOCKS = frozenset(_BLOCKS_TEXT.split())
_SKIPPED = frozenset({"rendermultimedia", "footnoteref", "excerpt", "observationmedia", "script", "style"})
_JOINED = "\x1f"  # what follows belongs to the same line; XML cannot hold this character
_BULLETS = "•·▪◦●○■–—-"
_ONLY_MARK = re.compile(rf"-(?: ?(?:[{_BULLETS}]|\(?(?:[a-z]|[ivx]{{1,4}}|\d{{1,2}})[.)]))?")


def plain(element: etree._Element) -> str:
    """All text below an element, spaces at its ends removed."""
    return clean("".join(str(part) for part in element.itertext())).strip()


def render(block: etree._Element) -> str:
    """Lines of text; a table is written as `tables` says, a list item as "- a"."""
    return "\n".join(line for line in _lines(block) if line)


def _lines(block: etree._Element) -> list[str]:
    out: list[str] = []
    _walk(block, out)
    lines: list[str] = []
    for raw in re.sub(rf"{_JOINED}\s*(?!\s|- )", "", "".join(out)).replace(_JOINED, "").split("\n"):
        line = re.sub(rf"^- (?:[{_BULLETS}] ?)+", "- ", " ".join(raw.split()))
        if lines and lines[-1] == "-" and line:
            lines[-1] = f"- {line.removeprefix('- ')}"  # an item that starts with a paragraph of its own
        elif line or (lines and lines[-1] != "-"):
            lines.append(line)
    return [line for line in lines if not _ONLY_MARK.fullmatch(line)]


def _walk(element: etree._Element, out: list[str]) -> None:
    """Append the text of `element`, without recursion: real files nest deeper than Python's stack likes."""
    _put(element.text, out)
    levels = [(iter(element), "")]
    while levels:
        children, closing = levels[-1]
        child = next(children, None)
        if child is None:
            levels.pop()
            out.append(closing)
        elif (end := _opened(child, out)) is None:
            _put(child.tail, out)
        else:
            _put(child.text, out)
            levels.append((iter(child), end + _one_line(child.tail or "")))


def _opened(child: etree._Element, out: list[str]) -> str | None:
    """Start an element and give what ends it; None when nothing of it is left to walk."""
    tag = local(child)
    if tag == "br":
        ahead = (child.tail or "").strip()
        out.append("\n" if ahead and ahead[0] in _BULLETS[:7] else " ")  # otherwise <br/> glues two words
    elif tag == "sup":
        out.append(raised(plain(child), before="".join(out[-4:]), after=_after(child), fraction=_is_fraction(child)))
    elif tag == "sub":
        out.append(lowered(plain(child), before="".join(out[-3:])))
    elif tag == "table":
        out.append("\n" + table_rows(child) + "\n")
    elif tag == "caption" and local(_parent(child)) in {"item", "paragraph"}:
        return " " + _JOINED  # an item's own mark, or who it is for, belongs to its text
    elif tag in _BLOCKS:
        out.append("\n- " if tag in {"item", "li"} else "\n")
        return "\n"
    elif tag and tag not in _SKIPPED:
        return ""
    return None


def _parent(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    return element if parent is None else parent


def _after(element: etree._Element) -> str:
    """The text that follows an element in the same block, a few characters of it."""
    while True:
        tail, ahead = clean(element.tail or ""), element.getnext()
        if ahead is not None and not tail.strip():
            return tail + (plain(ahead)[:4] if local(ahead) else "")
        if tail.strip():
            return tail
        parent = element.getparent()
        if parent is None or local(parent) != "content":
            return tail
        element = parent


def _is_fraction(element: etree._Element) -> bool:
    ahead = element.getnext()
    slash = (element.tail or "").strip() in {"/", "⁄"}
    return slash and ahead is not None and local(ahead) == "sub" and plain(ahead).isdigit()


def _put(text: str | None, out: list[str]) -> None:
    if text:
        out.append(_one_line(text))


def _one_line(text: str) -> str:
    """Line ends of the file are spaces: only elements begin a line."""
    return re.sub(r"[\r\n]", " ", clean(text))


def table_rows(table: etree._Element) -> str:
    """A table as lines; a nested table is flattened into its cell, footnotes in cells follow the rows."""
    notes: list[str] = []

    def cell_lines(cell: etree._Element) -> list[str]:
        notes.extend(plain_line(note) for note in cell.iter("{*}footnote"))
        return _cell_lines(cell)

    rows, heads, foot = rows_of(table, cell_lines)
    caption = next((child for child in table if local(child) == "caption"), None)
    title = plain_line(caption) if caption is not None else ""
    return "\n".join(as_lines(rows, heads=heads, caption=title, foot=[*foot, *(note for note in notes if note)]))


def plain_line(element: etree._Element) -> str:
    """The text of an element on one line."""
    return " ".join(line.removeprefix("- ") for line in _lines(element) if line).strip()


def _cell_lines(cell: etree._Element) -> list[str]:
    """A line for each paragraph, item or break of a cell; empty ones are kept, because rows are matched by them."""
    lines: list[str] = [""]
    out: list[str] = []
    _put(cell.text, out)
    for child in cell:
        tag = local(child)
        if tag == "br":
            lines[-1] = " ".join("".join(out).split())
            lines.append("")
            out = []
        elif tag in {"paragraph", "p", "list", "ul", "ol", "table", "div", "item", "li"}:
            if "".join(out).strip():
                lines[-1] = " ".join("".join(out).split())
                lines.append("")
            inner = [line.removeprefix("- ") for line in _inner(child) if line]
            lines[-1:] = [*(inner or [""]), ""]
            out = []
        elif tag != "footnote":
            end = _opened(child, out)
            if end is not None:
                _put(child.text, out)
                _walk_children(child, out)
                out.append(end)
        _put(child.tail, out)
    lines[-1] = " ".join("".join(out).split())
    return [line.strip() for line in lines]


def _inner(block: etree._Element) -> list[str]:
    if local(block) == "table":
        return [
            "; ".join(
                line.strip("| ").replace(" | ", ": ") for line in table_rows(block).split("\n") if "---" not in line
            )
        ]
    return _lines(block)


def _walk_children(element: etree._Element, out: list[str]) -> None:
    inner: list[str] = []
    _walk(element, inner)
    skip = len(_one_line(element.text or ""))
    out.append("".join(inner)[skip:])
