"""A reviewer's items as a spreadsheet (CSV, RFC 4180), and the ratings that come back in one.

Blind as the queue is: one reviewer's items in that reviewer's order, with their own ratings alone.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posology.core.errors import InvalidInput, Violation
from posology.curation.review.domain import Item, Judgement, Rating

_COLUMNS = ("item_id", "drug", "section_title", "question", "answer", "rejected", "evidence", "section_text")
_FILLED = ("judgement", "correction", "comment")
_MOST = 100_000  # characters of one cell


def write(items: Sequence[Item], mine: Mapping[str, Rating]) -> str:
    """The items with columns to fill in; with a byte order mark, so that Excel reads it as UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_COLUMNS, *_FILLED])
    for item in items:
        texts = [item.id, *(getattr(item, name) for name in _COLUMNS[1:])]
        rating = mine.get(item.id)
        filled = [rating.judgement.value, rating.correction, rating.comment] if rating else [""] * len(_FILLED)
        writer.writerow([_inert(text) for text in [*texts, *filled]])
    return "\ufeff" + out.getvalue()


@dataclass(frozen=True)
class Row:
    """What a row of a filled-in sheet says."""

    item: str
    judgement: Judgement
    comment: str
    correction: str


def read(text: str, *, known: frozenset[str]) -> list[Row]:
    """Every row that has a judgement; a column `correction` or `comment` may be missing.

    InvalidInput names every row with an unknown item, a second rating of one, or another word than a judgement.
    """
    plain = text.lstrip("\ufeff")
    header = plain.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets write what their country separates decimals from
    csv.field_size_limit(_MOST)
    problems: list[str] = []
    ratings: dict[str, Row] = {}
    try:
        rows = list(csv.DictReader(io.StringIO(plain, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InvalidInput.of([Violation("csv", f"is no CSV: {error}")]) from None
    if not rows or not {"item_id", "judgement"} <= rows[0].keys():
        raise InvalidInput.of([Violation("csv", "needs a header row with item_id and judgement, and rows below it")])
    for number, row in enumerate(rows, 2):
        item, word = (row.get("item_id") or "").strip(), (row.get("judgement") or "").strip().upper()
        if not word:
            continue
        judgement = word.replace(" ", "_")
        if item not in known:
            problems.append(f"row {number}: {item!r} is no item of this review")
        elif item in ratings:
            problems.append(f"row {number}: {item} is rated a second time")
        elif judgement not in Judgement.__members__:
            problems.append(f"row {number}: {word!r} is not one of {', '.join(Judgement)}")
        else:
            comment, correction = ((row.get(name) or "").strip() for name in ("comment", "correction"))
            ratings[item] = Row(item, Judgement(judgement), comment[:4000], _plain(correction)[:20_000])
    if problems:
        raise InvalidInput.of([Violation("csv", "; ".join(problems[:20]))])
    return list(ratings.values())


def _plain(text: str) -> str:
    """The inverse of `_inert` for a cell that was exported before, so that no apostrophe gets into an answer."""
    return text[1:] if text[:1] == "'" and _inert(text[1:]) == text else text


def _inert(text: str) -> str:
    """A cell that a spreadsheet would run as a formula is written as text (OWASP, CSV injection)."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
