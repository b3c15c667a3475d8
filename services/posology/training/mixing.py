"""General rows among the rows that are trained on, by the share that a spec asks for. Standard library only.

Replaying general data keeps what a model could do before (rehearsal: Scialom et al., arXiv 2205.12393). Rows are drawn
by their content alone, so the rows of a smaller share are among those of a larger one, and what preflight has looked at
for the largest share of a sweep has been looked at for each of its doses.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
GENERAL, REFUSAL = "general", "refusal"
"""Curation's tags."""
TRAIN, SET = "train.jsonl", "general.jsonl"
"""The files that rows come from."""


@dataclass(frozen=True)
class Place:
    """A row and where it stands: `number` is its line in `file`, from 1."""

    row: Row
    file: str
    number: int


@dataclass(frozen=True)
class Mixture:
    """Rows to train on; `general` of them are general, `wanted` were to be."""

    rows: tuple[Place, ...]
    general: int
    wanted: int


def mixed(train: Sequence[Row], general: Sequence[Row], share: float) -> Mixture:
    """The clinical rows of a data set with general ones that make up `share` (0 to 0.9) of all; fewer if there are few.

    Refusals keep the share that they have among the general rows. General rows that stand in the data set already, as
    those of earlier versions do, are drawn from like the others, so that they never add up to more than was asked for.
    A general row that asks what a clinical one asks is left out.
    """
    placed = [Place(row, TRAIN, number) for number, row in enumerate(train, 1)]
    clinical = [place for place in placed if not is_general(place.row)]
    asked = {_prompt(place.row) for place in clinical}
    pool: dict[str, Place] = {}
    for place in (*placed, *(Place(row, SET, number) for number, row in enumerate(general, 1))):
        if (place.file == SET or is_general(place.row)) and _prompt(place.row) not in asked:
            pool.setdefault(_content(place.row), place)
    wanted = wanted_rows(len(clinical), share)
    taken = _drawn(pool, wanted)
    rows = sorted((*clinical, *taken), key=lambda place: _order("row", _content(place.row)))
    return Mixture(tuple(rows), len(taken), wanted)


def as_made(train: Sequence[Row]) -> Mixture:
    """The rows of a data set as it is, without a general set."""
    rows = tuple(Place(row, TRAIN, number) for number, row in enumerate(train, 1))
    general = sum(is_general(row) for row in train)
    return Mixture(rows, general, general)


def is_general(row: Row) -> bool:
    """Whether curation took the row from general instructions."""
    return GENERAL in row.get("tags", ())


def wanted_rows(clinical: int, share: float) -> int:
    """General rows that make up `share` of all when added to `clinical` ones; at least 1 unless the share is 0."""
    return max(1, round(clinical * share / (1 - share))) if share > 0 else 0


def _drawn(pool: Mapping[str, Place], count: int) -> list[Place]:
    """`count` of the pool, refusals by their share of it; each kind in the order of a hash of its content.

    The split is by cumulative rounding, which makes a smaller draw part of a larger one.
    """
    order = sorted(pool, key=lambda content: _order("general", content))
    refusals = [content for content in order if REFUSAL in pool[content].row.get("tags", ())]
    others = [content for content in order if REFUSAL not in pool[content].row.get("tags", ())]
    count = min(count, len(pool))
    from_refusals = len(refusals) * count // max(1, len(pool))
    from_others = min(len(others), count - from_refusals)
    chosen = refusals[: count - from_others] + others[:from_others]
    return [pool[content] for content in chosen]


def _prompt(row: Row) -> str:
    return json.dumps(row["prompt"], sort_keys=True, ensure_ascii=False)


def _content(row: Row) -> str:
    return json.dumps([row["prompt"], row["completion"]], sort_keys=True, ensure_ascii=False)


def _order(purpose: str, content: str) -> bytes:
    return hashlib.sha256(f"{purpose}\x1f{content}".encode("utf-8", "surrogatepass")).digest()
