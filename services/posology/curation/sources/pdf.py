"""PDF with text: guidelines and textbooks, read in reading order; pages that are pictures are named as such.

Read by pdfplumber (MIT), which alone of the permissively licensed libraries gives words with their place and size and
finds ruled tables; it is imported when a PDF is read, so that the services, which read none, do without it.
"""

import io
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from posology.curation.domain import Drop
from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.prose import Block, document_of
from posology.curation.sources.raised import raised
from posology.curation.sources.tables import Cell, as_lines

_MARGIN = 0.09  # of a page's height: where running heads and page numbers stand
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_BULLET = re.compile(r"^(?:[•·▪◦●■‣–*-]|\(?\d{1,2}[.)]|[a-z][.)])\s+")
_COMPOUNDS_TEXT = """
    half non anti co self long short well low high dose pre post once twice first third mid single multi extra
"""
_COMPOUNDS = frozenset(_COMPOUNDS_TEXT.split())


@dataclass(frozen=True)
class Line:
    """A line of text with its place on the page, the size of its letters, and whether it is bold or a table's."""

    text: str
    top: float
    bottom: float
    left: float
    right: float
    size: float
    bold: bool
    table: tuple[str, ...] = ()


@source("PDF", ".pdf")
def read_pdf(document: Document) -> Iterator[Parsed]:
    """One document per file; a section's source names the page on which it begins, as "guide.pdf#page=3"."""
    import pdfplumber

    try:
        with pdfplumber.open(io.BytesIO(document.data)) as opened:
            pages = [_lines_of(page) for page in opened.pages]
            pictures = [n for n, page in enumerate(opened.pages, 1) if not pages[n - 1] and _is_picture(page)]
            heights = [float(page.height) for page in opened.pages]
    except Exception as error:  # noqa: BLE001  whatever a damaged file makes of the parser, the file is what is wrong
        why = "is protected by a password" if "Password" in repr(error) else "cannot be read as PDF"
        raise Unreadable(f"{why} ({type(error).__name__})") from None
    if pictures and not any(pages):
        raise Unreadable("holds pictures of pages and no text: it is a scan; recognise its text (OCR) first")
    drops = tuple(
        Drop("source", "scanned_page", f"page {number} is a picture without text (a scan)", document.name)
        for number in pictures
    )
    blocks = list(_blocks(_without_running_heads(pages, heights)))
    lost = [block for block in blocks if any("(cid:" in line for line in block.lines)]
    drops += tuple(
        Drop("source", "lost_characters", f"page {block.page}: letters of its font have no text", document.name)
        for block in lost
    )
    yield document_of(document.name, [block for block in blocks if block not in lost], drops=drops)


def _is_picture(page: Any) -> bool:
    covered = sum(float(image["width"]) * float(image["height"]) for image in page.images)
    return bool(covered > 0.3 * float(page.width) * float(page.height))


def _lines_of(page: Any) -> list[Line]:
    """The lines of a page in reading order: column by column between lines that go across, tables in their place."""
    tables = [table for table in page.find_tables() if len(table.rows) > 1]
    words = [
        word
        for word in page.extract_words(extra_attrs=["size", "fontname"], keep_blank_chars=False)
        if word.get("upright", True) and not any(_inside(word, table.bbox) for table in tables)
    ]
    lines = _joined(words)
    for table in tables:
        left, top, right, bottom = table.bbox
        rows = [[Cell(tuple((text or "").split("\n"))) for text in row] for row in table.extract()]
        text = tuple(as_lines(_filled(rows), heads=1))
        lines.append(Line("", top, bottom, left, right, 0.0, False, text))
    return _in_reading_order(lines)


def _filled(rows: list[list[Cell]]) -> list[list[Cell]]:
    """A ruled cell that spans several comes once and leaves empty places: below itself it is repeated."""
    for number in range(1, len(rows)):
        first = rows[number][0] if rows[number] else None
        if first is not None and not any(first.lines) and any(any(cell.lines) for cell in rows[number][1:]):
            rows[number][0] = rows[number - 1][0]
    return [[Cell((" ".join(cell.lines),)) for cell in row] for row in rows]


def _inside(word: Any, box: tuple[float, float, float, float]) -> bool:
    middle = (word["x0"] + word["x1"]) / 2, (word["top"] + word["bottom"]) / 2
    return bool(box[0] <= middle[0] <= box[2] and box[1] <= middle[1] <= box[3])


def _joined(words: Sequence[Any]) -> list[Line]:
    """Words on one height and close together are a line; a gap wider than a letter or so is a column's edge."""
    rows: list[list[Any]] = []
    for word in sorted(words, key=lambda w: (w["bottom"], w["x0"])):
        row = rows[-1] if rows else None
        if row and _on_one_line(row[0], word):
            row.append(word)
        else:
            rows.append([word])
    lines: list[Line] = []
    for row in rows:
        part: list[Any] = []
        for word in sorted(row, key=lambda w: w["x0"]):
            if part and word["x0"] - part[-1]["x1"] > 1.3 * max(float(word["size"]), float(part[-1]["size"])):
                lines.append(_line(part))
                part = []
            part.append(word)
        lines.append(_line(part))
    return lines


def _on_one_line(one: Any, other: Any) -> bool:
    """Whether two words stand on one height; a raised or lowered one is smaller and overlaps its line by half."""
    if abs(one["bottom"] - other["bottom"]) <= 0.45 * max(float(one["size"]), float(other["size"])):
        return True
    overlap = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    smaller = min(one["bottom"] - one["top"], other["bottom"] - other["top"])
    return bool(overlap > 0.5 * smaller and abs(float(one["size"]) - float(other["size"])) > 0.2 * float(one["size"]))


def _line(words: Sequence[Any]) -> Line:
    size = statistics.mode(round(float(word["size"]), 1) for word in words)
    text = ""
    for word in words:
        small = float(word["size"]) < 0.8 * size
        if text and small and word["bottom"] < max(w["bottom"] for w in words) - 0.12 * size:
            text += raised(word["text"], before=text)
        else:
            text += (" " if text else "") + word["text"]
    return Line(
        text=text.translate(_LIGATURES),
        top=min(word["top"] for word in words),
        bottom=max(word["bottom"] for word in words),
        left=min(word["x0"] for word in words),
        right=max(word["x1"] for word in words),
        size=size,
        bold=all(re.search(r"bold|black|heavy", str(word["fontname"]), re.IGNORECASE) for word in words),
    )


def _in_reading_order(lines: list[Line]) -> list[Line]:
    """Between lines that go across the gutter, all of the left column comes before the right one."""
    lines = sorted(lines, key=lambda line: (line.top, line.left))
    gutter = _gutter(lines)
    if gutter is None:
        return lines
    ordered: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    for line in lines:
        if line.left < gutter < line.right:
            ordered += [*_in_reading_order(left), *_in_reading_order(right), line]
            left, right = [], []
        else:
            (left if line.right <= gutter else right).append(line)
    return [*ordered, *_in_reading_order(left), *_in_reading_order(right)]


def _gutter(lines: Sequence[Line]) -> float | None:
    """Where two columns meet: a place that few lines cross, with many of them side by side on either hand."""
    if len(lines) < 6:
        return None
    start, end = min(line.left for line in lines), max(line.right for line in lines)
    width = end - start
    best: tuple[int, float] | None = None
    for step in range(20, 81):
        place = start + width * step / 100
        crossing = sum(line.left < place < line.right for line in lines)
        left = [line for line in lines if line.right <= place]
        right = [line for line in lines if line.left >= place]
        beside = len(left) >= 0.2 * len(lines) and len(right) >= 0.2 * len(lines) and _overlap(left, right)
        if beside and crossing <= 0.2 * len(lines) and (best is None or crossing < best[0]):
            best = (crossing, place)
    return best[1] if best else None


def _overlap(left: Sequence[Line], right: Sequence[Line]) -> bool:
    """Whether both stand on the same heights, so that they are columns and no indented paragraphs."""
    top = max(min(line.top for line in left), min(line.top for line in right))
    bottom = min(max(line.bottom for line in left), max(line.bottom for line in right))
    height = max(line.bottom for line in [*left, *right]) - min(line.top for line in [*left, *right])
    return bottom - top > 0.3 * height


def _without_running_heads(pages: list[list[Line]], heights: Sequence[float]) -> list[list[Line]]:
    """Lines in the margins that come again on other pages, numbers aside, and lone page numbers, go."""

    def in_margin(line: Line, height: float) -> bool:
        return not line.table and (line.bottom < _MARGIN * height or line.top > (1 - _MARGIN) * height)

    def plain(line: Line) -> str:
        return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.text.casefold())

    seen_on = Counter(
        text
        for page, height in zip(pages, heights, strict=True)
        for text in {plain(line) for line in page if in_margin(line, height)}
    )
    most = max(2, round(0.3 * len(pages)))
    return [
        [
            line
            for line in page
            if not (in_margin(line, height) and (seen_on[plain(line)] >= most or re.fullmatch(r"\W*#\W*", plain(line))))
        ]
        for page, height in zip(pages, heights, strict=True)
    ]


def _blocks(pages: list[list[Line]]) -> Iterator[Block]:
    """Sections by their headings: larger than the body, or bold, short and alone on their line."""
    sizes = Counter[float]()
    for line in (line for page in pages for line in page):
        sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    words = Counter(word.casefold() for page in pages for line in page for word in re.findall(r"[\w-]+", line.text))
    block = Block("", 1, [])
    before: Line | None = None
    for number, page in enumerate(pages, 1):
        for line in page:
            if _is_heading(line, body):
                if (
                    before
                    and _is_heading(before, body)
                    and not block.lines
                    and before.size == line.size
                    and block.title
                ):
                    block = Block(f"{block.title} {line.text}", block.page, [], block.level)
                else:
                    yield block
                    block = Block(line.text, number, [], 1 if line.size > 1.4 * body else 2)
            else:
                _append(block.lines, line, before, words)
            before = line
    yield block


def _is_heading(line: Line, body: float) -> bool:
    if line.table or len(line.text) > 120 or not re.search(r"[A-Za-z]{2}", line.text):
        return False
    stops = line.text.rstrip().endswith((".", ";", ",", ":"))
    return (line.size > 1.12 * body and not stops) or (line.bold and not stops and not _BULLET.match(line.text))


def _append(lines: list[str], line: Line, before: Line | None, words: Counter[str]) -> None:
    """A line goes on with its paragraph, also over a page's end, or begins another one."""
    if line.table:
        lines.extend(line.table)
        return
    bullet = _BULLET.match(line.text)
    text = f"- {line.text[bullet.end() :]}" if bullet else line.text
    if bullet or not lines or before is None or before.table or lines[-1].startswith("|"):
        lines.append(text)
        return
    apart = line.top - before.bottom > 0.9 * max(line.size, 1.0) and line.top > before.top
    ended = lines[-1].rstrip().endswith((".", "!", "?", ":"))
    if apart and (ended or line.text[:1].isupper()):
        lines.append(text)
    else:
        lines[-1] = _joined_words(lines[-1], text, words)


def _joined_words(first: str, second: str, words: Counter[str]) -> str:
    """Two lines of a paragraph; a word that was cut is made whole, "half-life" and "10-20" keep their hyphen."""
    if first.endswith("\u00ad"):
        return first[:-1] + second
    cut = re.search(r"([A-Za-z]+)-$", first)
    rest = re.match(r"[a-z]+", second)
    if not first.endswith(("-", "‐")) or first.endswith(" -"):
        return f"{first} {second}"
    if cut is None or rest is None:
        return first + second
    whole, joined = f"{cut.group(1)}-{rest.group()}".casefold(), (cut.group(1) + rest.group()).casefold()
    hyphen = words[whole] > words[joined] or (not words[joined] and cut.group(1).casefold() in _COMPOUNDS)
    return first + second if hyphen else first[:-1] + second
