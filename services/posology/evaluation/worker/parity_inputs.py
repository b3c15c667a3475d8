"""What the parity chain compares, without the libraries that compare it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posology.core.canonical import canonical_digest

CONTROL = "control.json"
POSITIONS, FEWEST_POSITIONS = 64, 16
"""Positions of a prompt that count: those of the answer, at most and at least so many.

What a model chooses after half a question matters to nobody, and is most often a near tie: measured on a model of 270M
parameters in bf16, 20% of the positions within questions nearly tie, of those within answers 4%.
"""


@dataclass(frozen=True)
class Served:
    """What an engine said about one sequence: at each of its last positions the likeliest tokens and the actual one,
    by id."""

    ids: tuple[int, ...]
    places: tuple[dict[int, float], ...]


@dataclass(frozen=True)
class Forced:
    """Token ids that every path is given, and how many of the last ones are compared."""

    ids: tuple[int, ...]
    positions: int


def forced(prompt: Sequence[int], answer: Sequence[int]) -> Forced:
    """A prompt and the answer behind it, whose tokens count; of a very short one some of the prompt's count too."""
    ids = (*prompt, *answer)
    return Forced(ids, max(0, min(POSITIONS, max(FEWEST_POSITIONS, len(answer)), len(ids) - 1)))


@dataclass(frozen=True)
class Trained:
    """An adapter and the model that it was trained on, with the method that decides that model's precision."""

    adapter: Path
    base: Path
    method: str
    dtype: str = ""
    """Of the base under training, such as `bfloat16`; empty where the record does not say."""


@dataclass(frozen=True)
class ControlStep:
    """A control through one step's two paths: of each prompt the disagreements with near ties set aside, the near ties,
    and all disagreements."""

    different: tuple[int, ...]
    ties: tuple[int, ...]
    all_different: tuple[int, ...]
    tie_width: float
    agreement: float


@dataclass(frozen=True)
class Control:
    """What an evaluation knows of its base's own noise; it is kept beside the base's scores, for later candidates.

    `key` is the digest of all that decides it; `sequences` are the base's greedy answers behind their prompts.
    """

    key: str
    engine_version: str
    sequences: tuple[Forced, ...]
    steps: Mapping[str, ControlStep]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Control":
        """The inverse of `to_json`."""
        steps = {
            name: ControlStep(
                tuple(s["different"]), tuple(s["ties"]), tuple(s["all_different"]), s["tie_width"], s["agreement"]
            )
            for name, s in stored["steps"].items()
        }
        sequences = tuple(Forced(tuple(s["ids"]), s["positions"]) for s in stored["sequences"])
        return cls(stored["key"], stored["engine_version"], sequences, steps)


def control_key(
    *,
    base: str,
    adapted: bool,
    dtype: str,
    engine: Mapping[str, Any],
    gpus: bool,
    prompts: Sequence[str],
) -> str:
    """Digest of everything that decides a control, except the engine's version, which only a running one knows."""
    return canonical_digest(
        {
            "base": base,
            "adapted": adapted,
            "dtype": dtype,
            "engine": dict(engine),
            "onGpus": gpus,
            "prompts": list(prompts),
            "positions": POSITIONS,
            "form": 3,
        }
    )


def training_record(adapter: Path) -> dict[str, Any]:
    """`training.json` of an adapter folder; empty for an adapter from elsewhere."""
    path = adapter / "training.json"
    return json.loads(path.read_text()) if path.exists() else {}


def stored_dtype(folder: Path) -> str:
    """The precision of a model folder's weights, as its config says; bfloat16 where it does not."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "bfloat16").removeprefix("torch.")
