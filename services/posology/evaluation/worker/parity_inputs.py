"""What the parity ladder compares, without the libraries that compare it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Served:
    """What an engine said about one sequence: at each place the likeliest tokens and the actual one, by id."""

    ids: tuple[int, ...]
    places: tuple[dict[int, float], ...]


@dataclass(frozen=True)
class Trained:
    """An adapter and the model that it was trained on, with the method that decides that model's precision."""

    adapter: Path
    base: Path
    method: str


def training_record(adapter: Path) -> dict[str, Any]:
    """`training.json` of an adapter folder; empty for an adapter from elsewhere."""
    path = adapter / "training.json"
    return json.loads(path.read_text()) if path.exists() else {}
