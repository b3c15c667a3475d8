"""Web pages: what a reader of the page sees, cut into sections at its headings.

Read by lxml (BSD), which is here for labels anyway; its parser mends what browsers mend.
"""

import re
from collections.abc import Iterator

import lxml.html
from lxml import etree

from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.encoding import decode
from posology.curation.sources.prose import Block, document_of
from posology.curation.sources.spl_text import plain, render
from posology.curation.sources.tables import local

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NOT_TEXT = frozenset({
    "script", "style", "noscript", "template", "nav", "footer", "aside", "form", "button", "select", "svg", "iframe",
    "head",
})  # fmt: skip
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])")
_MARK = "\ue0ff"  # before a heading; in a page it is no character of any script
_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?([\w-]+)", re.IGNORECASE)


@source("HTML", ".html", ".htm", ".xhtml")
def read_html(document: Document) -> Iterator[Parsed]:
    """One document per page; elements that a browser does not show are left out."""
    try:
        root = lxml.html.document_fromstring(_text(document.data), parser=lxml.html.HTMLParser(huge_tree=True))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"cannot be read as HTML: {error}") from None
    title = next((" ".join(plain(element).split()) for element in root.iter("title")), "")
    for element in list(root.iter(etree.Element)):
        if element.getparent() is not None and _left_out(element):
            _drop(element)
    for heading in root.iter(*_HEADINGS):
        heading.text = f"{_MARK}{local(heading)[1]}{heading.text or ''}"
    body = root.find("body")
    try:
        lines = render(root if body is None else body).split("\n")
    except RecursionError:
        raise Unreadable("nests tables in tables too deep; refused") from None
    blocks = [Block("", level=0)]
    for line in lines:
        if line.removeprefix("- ").startswith(_MARK):
            written = line.removeprefix("- ")
            blocks.append(Block(written[2:].strip(), level=int(written[1])))
        else:
            blocks[-1].lines.append(line.replace(_MARK, ""))
    first = next((block.title for block in blocks if block.level == 1 and block.title), "")
    yield document_of(document.name, blocks, subject=first or title)


def _drop(element: etree._Element) -> None:
    """Take an element out of its page; the text behind it stays."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        return
    if before is not None:
        before.tail = (before.tail or "") + (element.tail or "")
    else:
        parent.text = (parent.text or "") + (element.tail or "")
    parent.remove(element)


def _left_out(element: etree._Element) -> bool:
    if local(element) in _NOT_TEXT or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    return bool(_UNSEEN.search(str(element.get("style", "")).casefold()))


def _text(data: bytes) -> str:
    """UTF-8 as any other text; another encoding only where the page itself declares it."""
    declared = _CHARSET.search(data[:4096])
    if (
        declared
        and declared.group(1).lower() not in {b"utf-8", b"utf8"}
        and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"))
    ):
        try:
            return data.decode(declared.group(1).decode()).replace(_MARK, "\ue0fe")
        except (LookupError, UnicodeDecodeError) as error:
            raise Unreadable(f"is not in the encoding that it declares: {error}") from None
    text = decode(data).replace(_MARK, "\ue0fe")
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
