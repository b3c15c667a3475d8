"""Tables as lines of text that a program and a person can both read.

A caption is a line that starts with "Table"; then come rows "| a | b |", all with the same number of cells. Where the
table has a head, its rows are joined to one, and the line "| --- | --- |" parts it from the rows, as in Markdown; a
table without that line has no head. Cells that span rows or columns are repeated in every row and column that they
span, so that each row says all that it is about. A row whose cells are all alike is a heading for the rows below it.
Footnotes follow as plain lines. A table of one column is a box around prose and gives plain lines.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lxml import etree

_MOST_COLUMNS = 200  # what a hostile colspan may reach
_MOST_CELLS = 200_000
_DEEPEST_SPAN = 200  # rows that a cell may span and still be followed across empty rows


@dataclass(frozen=True)
class Cell:
    """One cell: its lines of text, how far it spans, whether it heads a row or column."""

    lines: tuple[str, ...]
    across: int = 1
    down: int = 1
    head: bool = False


def local(element: etree._Element) -> str:
    """The tag without its namespace; "" for comments, processing instructions and entities."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def rows_of(
    table: etree._Element, cell_lines: Callable[[etree._Element], Sequence[str]]
) -> tuple[list[list[Cell]], int, list[str]]:
    """The cells of an HTML or SPL table, how many of its first rows are head, and the lines of its foot.

    `cell_lines` gives the text of one cell, a line for each of its paragraphs or breaks.
    """
    rows: list[list[Cell]] = []
    foot: list[str] = []
    heads = 0
    for row, group, left in _rows(table):
        cells = [_cell(cell, cell_lines(cell)) for cell in row if local(cell) in {"td", "th"}]
        cells = [replace(cell, down=left) if cell.down > left else cell for cell in cells]
        if not any(line for cell in cells for line in cell.lines):
            if any(cell.down > 1 for cell in cells):
                rows.append(cells)
            else:
                _shorten(rows)
            continue
        if group == "tfoot":
            foot.append(" ".join(line for cell in cells for line in cell.lines if line))
            continue
        if heads == len(rows) and (group == "thead" or all(cell.head for cell in cells if any(cell.lines))):
            heads += 1
        rows.append(cells)
    return rows, heads, foot


def _shorten(rows: list[list[Cell]]) -> None:
    """An empty row is left out, so the cells that span it span one row less; only the last rows are looked at."""
    for number in range(max(0, len(rows) - _DEEPEST_SPAN), len(rows)):
        rows[number] = [
            replace(cell, down=cell.down - 1) if cell.down > len(rows) - number else cell for cell in rows[number]
        ]


def _rows(table: etree._Element) -> Iterator[tuple[etree._Element, str, int]]:
    """Rows of the table itself, not of tables in its cells; those of the head first, whatever the order in the file.

    With each, how many rows of its group are left, itself included: no cell spans out of its group (HTML 4.9.12.1).
    """
    direct: list[tuple[etree._Element, str, int]] = []
    bare = sum(local(part) == "tr" for part in table)
    for part in table:
        if local(part) == "tr":
            direct.append((part, "", bare))
            bare -= 1
        elif local(part) in {"thead", "tbody", "tfoot"}:
            rows = [row for row in part if local(row) == "tr"]
            direct.extend((row, local(part), len(rows) - number) for number, row in enumerate(rows))
    order = {"thead": 0, "tfoot": 2}
    yield from sorted(direct, key=lambda one: order.get(one[1], 1))


def _cell(element: etree._Element, lines: Sequence[str]) -> Cell:
    kept = list(lines)
    while kept and not kept[-1]:
        kept.pop()
    bold = bool(kept) and _is_bold(element)
    return Cell(tuple(kept), _span(element, "colspan"), _span(element, "rowspan"), local(element) == "th" or bold)


def _is_bold(cell: etree._Element) -> bool:
    """Whether all text of a cell is bold: what heads most tables of labels, which rarely have <th>."""
    if (cell.text or "").strip():
        return False
    for child in cell.iterchildren(etree.Element):
        text = "".join(str(part) for part in child.itertext()).strip()
        bold = (
            local(child) in {"b", "strong"}
            or "bold" in str(child.get("styleCode", "")).lower()
            or (local(child) in {"paragraph", "p"} and text and _is_bold(child))
        )
        if (text and not bold) or (child.tail or "").strip():
            return False
    return len(cell) > 0


def _span(element: etree._Element, name: str) -> int:
    """The attribute as a number; nonsense is 1, and 0 means "to the end" (HTML 4.9.11)."""
    value = str(element.get(name, "1")).strip()
    if not re.fullmatch(r"\d{1,9}", value):
        return 1
    return int(value) if int(value) else 10**9


def grid(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Rows of equal length, each spanned place filled with the cell that spans it."""
    made: list[dict[int, Cell]] = [{} for _ in rows]
    total = 0
    widest = max((sum(cell.across for cell in row) for row in rows if len(row) > 1), default=1)
    for number, row in enumerate(rows):
        column = 0
        for cell in row:
            while column in made[number]:
                column += 1
            across = min(cell.across, _MOST_COLUMNS - column) if cell.across < 10**9 else 1
            if len(row) == 1:
                across = min(across, max(1, widest - column))  # a heading over all columns, however many it says
            for line in range(number, min(len(rows), number + cell.down)):
                for place in range(column, column + max(0, across)):
                    made[line].setdefault(place, cell)
                    total += 1
                    if total > _MOST_CELLS:
                        return []
            column += across
    width = max((max(row, default=-1) + 1 for row in made), default=0)
    return [[row.get(column, Cell(())) for column in range(width)] for row in made]


def as_lines(
    rows: Sequence[Sequence[Cell]], *, heads: int = 0, caption: str = "", foot: Sequence[str] = ()
) -> list[str]:
    """The table as this module's docstring says."""
    full = grid(rows)
    while full and not any(any(cell.lines) for cell in full[-1]):
        full.pop()
    columns = list(range(len(full[0]))) if full else []
    columns = [n for n in columns if any(any(row[n].lines) for row in full)]
    full = [[row[n] for n in columns] for row in full]
    title = [caption if caption.casefold().startswith("table") else f"Table: {caption}"] if caption else []
    if len(columns) <= 1:
        return [
            *([caption] if caption else []),
            *(line for row in full for cell in row for line in cell.lines if line),
            *foot,
        ]
    heads = min(heads, len(full) - 1)
    lines = []
    if heads:
        lines += [_row(_joined_head(full[:heads])), _row(["---"] * len(columns))]
    for row in full[heads:]:
        lines += [_row(cells) for cells in _split(row) if any(cells)]
    return [*title, *lines, *foot]


def _joined_head(rows: Sequence[Sequence[Cell]]) -> list[str]:
    """ "Dose" over "mild" and "severe" -> "Dose, mild" and "Dose, severe"."""
    heads = []
    for column in range(len(rows[0])):
        texts = [" ".join(line for line in row[column].lines if line) for row in rows]
        heads.append(", ".join(dict.fromkeys(text for text in texts if text)))
    return heads


def _split(row: Sequence[Cell]) -> Iterator[list[str]]:
    """Cells of several lines each are several rows in one: "Rash<br/>Fever" beside "7<br/>24"."""
    heights = {len(cell.lines) for cell in row if len(cell.lines) > 1}
    several = [cell for cell in row if len(cell.lines) > 1]
    if len(heights) == 1 and len(several) > 1 and len({id(cell) for cell in several}) > 1:
        for number in range(heights.pop()):
            yield [cell.lines[number] if len(cell.lines) > 1 else "".join(cell.lines) for cell in row]
    else:
        yield [_one_line(cell.lines) for cell in row]


def _one_line(lines: Sequence[str]) -> str:
    """Lines of one cell with semicolons between them, except behind a colon, which leads into the next."""
    return re.sub(r":;(?= )", ":", "; ".join(line for line in lines if line))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |"
