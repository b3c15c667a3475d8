"""Corrections to the rows of a data set, and the version that they make of it.

A line is `{"pair": ID, "answer": TEXT}`, with `question` where that changes too, or `{"pair": ID, "drop": true}`; what
else it holds (`comment`, `reviewer`) is kept in the version's record.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from posology.core.errors import InvalidInput
from posology.curation.domain import CORRECTED, Drop, Message, Pair, content_id

FILE = "corrections.jsonl"
"""In a corrected version: what was changed, row by row."""
_SHOWN = 10


@dataclass(frozen=True)
class Correction:
    """What becomes of one row."""

    pair: str
    answer: str = ""
    question: str = ""
    drop: bool = False
    comment: str = ""
    reviewer: str = ""


@dataclass(frozen=True)
class Corrected:
    """Rows of a version in their order, drops, and the record of changes."""

    rows: tuple[Pair, ...]
    drops: tuple[Drop, ...]
    changes: tuple[Mapping[str, Any], ...]


def read_corrections(lines: Iterable[str]) -> dict[str, Correction]:
    """Corrections by the row that they are about. InvalidInput names every line that is none."""
    read: dict[str, Correction] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            correction = _parse(line)
        except ValueError as error:
            problems.append(f"line {number} {error}")
            continue
        if read.setdefault(correction.pair, correction) != correction:
            problems.append(f"line {number} corrects {correction.pair} a second time, otherwise")
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InvalidInput(f"spec.curation.corrections: {'; '.join(problems[:_SHOWN])}{more}")
    if not read:
        raise InvalidInput("spec.curation.corrections holds no correction; leave it out")
    return read


def correct(rows: Sequence[Pair], corrections: Mapping[str, Correction]) -> Corrected:
    """Make the corrections that are about these rows; a row that stays as it is keeps its id."""
    kept: list[Pair] = []
    drops: list[Drop] = []
    changes: list[Mapping[str, Any]] = []
    for row in rows:
        correction = corrections.get(row.id)
        if correction is None:
            kept.append(row)
        elif correction.drop:
            drops.append(Drop("review", "corrected", correction.comment or "dropped by a correction", pair=row))
            changes.append(_change(row, None, correction))
        else:
            made = _corrected(row, correction)
            kept.append(made)
            if made != row:
                changes.append(_change(row, made, correction))
    return Corrected(tuple(kept), tuple(drops), tuple(changes))


def check_all_known(corrections: Iterable[str], rows: Iterable[Pair]) -> None:
    """InvalidInput for corrections of rows that the data set has not."""
    unknown = sorted(set(corrections) - {row.id for row in rows})
    if unknown:
        raise InvalidInput(
            f"spec.curation.corrections: {len(unknown)} are about rows that the data set has not: "
            f"{', '.join(unknown[:_SHOWN])}. Was it made from another spec, or corrected before?"
        )


def check_distinct(rows: Iterable[Pair]) -> None:
    """InvalidInput where a correction makes a row that is there already."""
    twice = sorted(id for id, count in Counter(row.id for row in rows).items() if count > 1)
    if twice:
        listed = ", ".join(twice[:_SHOWN])
        raise InvalidInput(f"spec.curation.corrections make rows that are there already: {listed}. Drop one instead.")


def _parse(line: str) -> Correction:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("pair"), str) or not fields["pair"]:
        raise ValueError('has no "pair", the id of a row')
    unknown = sorted(fields.keys() - Correction.__dataclass_fields__.keys())
    if unknown:
        allowed = ", ".join(Correction.__dataclass_fields__)
        raise ValueError(f"has {', '.join(unknown)}; known are {allowed}")
    for name in ("answer", "question", "comment", "reviewer"):
        if not isinstance(fields.get(name, ""), str):
            raise ValueError(f"has a {name} that is no text")
    if not isinstance(fields.get("drop", False), bool):
        raise ValueError("has a drop that is neither true nor false")
    correction = Correction(**fields)
    correction = replace(correction, answer=correction.answer.strip(), question=correction.question.strip())
    if correction.drop == bool(correction.answer or correction.question):
        raise ValueError('needs an "answer" or a "question", or "drop": true alone')
    return correction


def _corrected(row: Pair, correction: Correction) -> Pair:
    answer = correction.answer or row.answer
    prompt = _asking(row.prompt, correction.question) if correction.question else row.prompt
    if (prompt, answer) == (row.prompt, row.answer):
        return row
    turns = json.dumps([[turn.role, turn.content] for turn in prompt], ensure_ascii=False)
    changed = replace(row, id=content_id("p", turns, answer, row.section or row.source), prompt=prompt, answer=answer)
    return changed.tagged(CORRECTED)


def _asking(prompt: Sequence[Message], question: str) -> tuple[Message, ...]:
    """The conversation with another last question."""
    last = max(number for number, turn in enumerate(prompt) if turn.role == "user")
    return tuple(replace(turn, content=question) if number == last else turn for number, turn in enumerate(prompt))


def _change(row: Pair, made: Pair | None, correction: Correction) -> Mapping[str, Any]:
    after = {"id": made.id, "question": made.question, "answer": made.answer} if made else None
    return {
        "before": {"id": row.id, "question": row.question, "answer": row.answer},
        "after": after,
        "comment": correction.comment,
        "reviewer": correction.reviewer,
    }
