"""The text of an SPL block as lines: paragraphs, list items, table rows; raised and lowered digits kept apart."""

import re

from lxml import etree

_BLOCKS = frozenset({"paragraph", "item", "list", "table", "caption", "title", "footnote"})
_SKIPPED = frozenset({"renderMultiMedia", "footnoteRef", "excerpt", "observationMedia"})
_MARKS = frozenset(["®", "™", "©", "†", "‡", "§", "¶", "*", "**", "#", "℠"])
_UNIT_BEFORE = re.compile(r"(?:\d|\bm|\bcm|\bmm|\bkg/m|/m|×10|x10|\))$")


def local(element: etree._Element) -> str:
    """The tag without its namespace; "" for comments, processing instructions and entities."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def plain(element: etree._Element) -> str:
    """All text below an element, spaces at its ends removed."""
    return "".join(str(part) for part in element.itertext()).strip()


def render(block: etree._Element) -> str:
    """Lines of text; a table row reads "| a | b |", a list item "- a"."""
    out: list[str] = []
    _walk(block, out)
    lines = ("".join(out)).split("\n")
    return "\n".join(line for line in (" ".join(raw.split()) for raw in lines) if line and line != "-")


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
            levels.append((iter(child), end + (child.tail or "").replace("\n", " ")))


def _opened(child: etree._Element, out: list[str]) -> str | None:
    """Start an element and give what ends it; None when nothing of it is left to walk."""
    tag = local(child)
    if tag == "br":
        out.append(" ")  # otherwise <br/> glues two words
    elif tag == "sup":
        out.append(_raised(plain(child), "".join(out[-3:])))
    elif tag == "sub":
        out.append(_lowered(plain(child), "".join(out[-3:])))
    elif tag == "table":
        out.append("\n" + table_rows(child) + "\n")
    elif tag in _BLOCKS:
        out.append("\n- " if tag == "item" else "\n")
        return "\n"
    elif tag and tag not in _SKIPPED:
        return ""
    return None


def _put(text: str | None, out: list[str]) -> None:
    if text:
        out.append(text.replace("\n", " "))


def _raised(text: str, before: str) -> str:
    """10<sup>-10</sup> -> 10^-10, 20<sup>o</sup>C -> 20°C; footnote marks go, trade marks stay."""
    if not text or text in _MARKS:
        return text if text in {"®", "™", "©"} else ""
    if text in {"o", "O", "0", "º", "°"} and re.search(r"\d\s*$", before):
        return "°"
    if re.fullmatch(r"[-−–+]?\d+(?:[.,]\d+)*[+-]?", text):
        return "^" + text.replace("−", "-").replace("–", "-") if _UNIT_BEFORE.search(before.rstrip()) else ""
    return "" if re.fullmatch(r"[a-zA-Z](?:\s*,\s*[a-zA-Z])*", text) else text


def _lowered(text: str, before: str) -> str:
    """CO<sub>2</sub> -> CO2, C<sub>max</sub> -> Cmax; after a digit an underscore keeps numbers apart."""
    return ("_" if text[:1].isdigit() and before[-1:].isdigit() else "") + text


def table_rows(table: etree._Element) -> str:
    """Each row as "| a | b |"; a nested table is flattened into its cell."""
    rows = []
    for row in table.iter("{*}tr"):
        cells = [" ".join(render(cell).replace("\n", " ").split()) for cell in row if local(cell) in {"td", "th"}]
        if any(cells):
            rows.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    caption = table.find("{*}caption")
    head = [" ".join(render(caption).split())] if caption is not None else []
    return "\n".join([f"| {line} |" for line in head if line] + rows)
