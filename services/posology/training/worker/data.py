"""Rows from the artifacts of curation, as the trainers want them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from posology.core.errors import InvalidInput
from posology.training.mixing import SET, Mixture, as_made, mixed

Row = Mapping[str, Any]
PREFERENCES = "preferences.jsonl"


def pairs(dataset: Path) -> tuple[list[Row], list[Row]]:
    """Training and validation pairs of a data set artifact; both must be there."""
    train, validation = _read(dataset / "train.jsonl"), _read(dataset / "validation.jsonl")
    if not train:
        raise InvalidInput("the data set has no training pairs; see its drops for why curation kept none")
    if not validation:
        raise InvalidInput(
            "the data set has no validation pairs, so overfitting could not be seen; "
            "set curation.validation to at least 1 and curate again"
        )
    return train, validation


def mixture(train: Sequence[Row], general: Path | None, share: float) -> Mixture:
    """The training rows of a data set, with those of a general set mixed in where there is one."""
    return as_made(train) if general is None else mixed(train, _read(general / SET), share)


def preference_rows(folder: Path) -> list[Row]:
    """All rows of a preference set artifact."""
    return _read(folder / PREFERENCES)


def preferences(folder: Path, *, held_out: float) -> tuple[list[Row], list[Row]]:
    """Preference rows split by prompt into training and held-out, the same way on every machine.

    `held_out` 0 holds out none: there is no preference accuracy then, and nothing to choose a checkpoint by.
    """
    rows = preference_rows(folder)
    same = [number for number, row in enumerate(rows, 1) if _text(row["chosen"]) == _text(row["rejected"])]
    if same:
        listed = ", ".join(map(str, same[:10]))
        raise InvalidInput(f"{len(same)} preference rows have equal answers ({PREFERENCES} rows {listed}); drop them")
    least = 2 if held_out else 1
    if len(rows) < least:
        raise InvalidInput(
            f"the preference set has {len(rows)} rows; at least {least} {'are' if least > 1 else 'is'} needed"
            + (", one of them held out" if held_out else "")
        )
    if not held_out:
        return rows, []
    order = sorted({_key(row) for row in rows})
    count = max(1, min(len(order) - 1, round(held_out * len(order))))
    if len(order) < 2:
        raise InvalidInput("all preference rows share one prompt, so none can be held out; add other prompts")
    apart = frozenset(order[:count])
    return [row for row in rows if _key(row) not in apart], [row for row in rows if _key(row) in apart]


def as_preferences(rows: Sequence[Row]) -> Dataset:
    """Prompt, chosen and rejected messages."""
    return Dataset.from_list([{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows])


def answers(rows: Sequence[Row]) -> list[Row]:
    """Both answers of each preference, as prompt and completion."""
    return [
        {"id": row.get("id"), "prompt": row["prompt"], "completion": row[side]}
        for row in rows
        for side in ("chosen", "rejected")
    ]


def _key(row: Row) -> str:
    """Rows about one prompt stay together; hashing makes the order unrelated to the file's."""
    return hashlib.sha256(_text(row["prompt"]).encode()).hexdigest()


def _text(messages: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _read(path: Path) -> list[Row]:
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise InvalidInput(f"{path.name}, line {number}: not JSON ({error})") from error
