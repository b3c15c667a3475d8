"""Held-out conversations that travel with an adapter, so that whoever merges it can check the merge."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from posology.training.worker import tokens

FILE = "probes.jsonl"
COUNT = 64


def write(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep up to 64 rows: prompt and answer, as curation wrote them."""
    with (folder / FILE).open("w", encoding="utf-8") as out:
        for row in rows[:COUNT]:
            out.write(json.dumps({"prompt": row["prompt"], "completion": row["completion"]}, sort_keys=True) + "\n")


def read(folder: Path) -> list[Mapping[str, Any]]:
    """The rows that `write` left."""
    with (folder / FILE).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def token_ids(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Mapping[str, Any]], limit: int) -> list[list[int]]:
    """Each conversation as token ids, at most `limit` of them."""
    return [tokens.conversation_ids(tokenizer, row)[:limit] for row in rows]
