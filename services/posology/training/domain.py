"""What training is made of: recipes, the stages of a job, and the rules they obey."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from posology.core.errors import Violation

ALL_LINEAR = "all-linear"
ADAMW = "adamw_torch_fused"


class Method(StrEnum):
    """Which weights move."""

    FULL = "FULL"
    LORA = "LORA"
    QLORA = "QLORA"


class Schedule(StrEnum):
    """How the learning rate goes from its peak to the end."""

    COSINE = "COSINE"
    LINEAR = "LINEAR"
    CONSTANT = "CONSTANT"


@dataclass(frozen=True)
class Lora:
    """A low-rank update of the named linear modules: W + scale * B A.

    `use_dora` learns the length of each output's weights beside that direction; `loraplus_lr_ratio` is the rate of B
    over that of A, 0 for one rate.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    use_dora: bool = False
    use_rslora: bool = False
    loraplus_lr_ratio: float = 0.0

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.use_rslora else self.rank)


@dataclass(frozen=True)
class Optimisation:
    """How the weights are moved.

    `batch_size` counts rows per optimiser step, over all devices; `micro_batch_size` 0 is chosen by memory;
    `max_steps` 0 means `epochs`; `patience` counts evaluations without a better validation loss, 0 never stops;
    `optim` and `sampling` are transformers' names; with `packing` a row is one that rows were joined into.
    """

    epochs: float = 3.0
    max_steps: int = 0
    learning_rate: float = 2e-4
    schedule: Schedule = Schedule.COSINE
    warmup: float = 0.03
    weight_decay: float = 0.0
    batch_size: int = 8
    micro_batch_size: int = 0
    max_length: int = 1024
    patience: int = 0
    checkpoint_steps: int = 50
    seed: int = 0
    optim: str = ADAMW
    neftune_noise_alpha: float = 0.0
    packing: bool = False
    sampling: str = "random"
    best: bool = True
    """Whether the checkpoint with the lowest validation loss is published, and not the last one."""

    def steps(self, rows: int) -> int:
        """Optimiser steps over `rows` rows."""
        return self.max_steps or math.ceil(math.ceil(rows / self.batch_size) * self.epochs)


@dataclass(frozen=True)
class Sft:
    """Supervised fine-tuning on prompt/completion pairs; `lora` counts for LORA and QLORA.

    With `every_answer` the loss falls on each assistant turn of a conversation, else on the completion's.
    """

    method: Method = Method.QLORA
    lora: Lora = field(default_factory=Lora)
    optimisation: Optimisation = field(default_factory=Optimisation)
    every_answer: bool = False

    def contradictions(self) -> Iterator[Violation]:
        """What FULL cannot take: parts of an adapter."""
        if self.method is Method.FULL:
            parts = {
                "useDora": self.lora.use_dora,
                "useRslora": self.lora.use_rslora,
                "loraplusLrRatio": self.lora.loraplus_lr_ratio > 0,
            }
            for name in (name for name, is_set in parts.items() if is_set):
                yield Violation(f"spec.training.sft.{name}", "has no meaning with method FULL, which has no adapter")


@dataclass(frozen=True)
class Dpo:
    """Preference optimisation against the SFT model.

    An SFT adapter is continued, with its own rank and modules; `lora` shapes the fresh adapter that is put on a
    model which SFT trained whole. `held_out` is the share of prompts kept for the preference accuracy. `loss_type` is
    TRL's name, and `label_smoothing` the share of preferences that `robust` takes to be the wrong way round.
    """

    beta: float = 0.1
    lora: Lora = field(default_factory=lambda: Lora(dropout=0.0))
    optimisation: Optimisation = field(default_factory=lambda: Optimisation(epochs=2.0, learning_rate=5e-5, warmup=0.1))
    held_out: float = 0.1
    loss_type: str = "sigmoid"
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class SftTask:
    """SFT of a base model on a data set; both are artifact digests."""

    base_model: str
    dataset: str
    recipe: Sft
    general: str = ""
    """Digest of the general set that is mixed in; "" leaves the data set's rows as they are."""
    general_share: float = 0.0

    @property
    def parents(self) -> tuple[str, ...]:
        """The artifacts that the result is made from."""
        return tuple(digest for digest in (self.base_model, self.dataset, self.general) if digest)

    @property
    def parameters(self) -> dict[str, Any]:
        """What belongs to the result's identity besides its parents; the share only where something is mixed in."""
        mixed_in = {"general_share": self.general_share} if self.general else {}
        return {"task": "sft", "recipe": asdict(self.recipe)} | mixed_in


@dataclass(frozen=True)
class DpoTask:
    """DPO of what SFT made (`sft`, an adapter or a model), which is also the reference."""

    base_model: str
    sft: str
    preferences: str
    recipe: Dpo


@dataclass(frozen=True)
class MergeTask:
    """Merging `adapter` into the model that it was trained on; a whole model passes through."""

    base_model: str
    adapter: str


@dataclass(frozen=True)
class PreflightTask:
    """A look at what SFT, DPO and merging would meet; `preferences` is "" without DPO.

    `validation_rows` were asked for (0 = not said), `general_share` was to be general (None = not said);
    `letter_suites` score options by their letters; `resources` say where training would run.
    """

    base_model: str
    dataset: str
    preferences: str
    sft: "Sft"
    dpo: "Dpo | None"
    gpus: int = 0
    nodes: int = 1
    memory: int = 0
    """Bytes that a training worker may use on its host; 0 = not limited."""
    validation_rows: int = 0
    general_share: float | None = None
    letter_suites: tuple[str, ...] = ()
    general: str = ""
    """Digest of the general set that would be mixed in by `general_share`."""

    @property
    def parents(self) -> tuple[str, ...]:
        """The artifacts that are looked at."""
        return tuple(digest for digest in (self.base_model, self.dataset, self.general, self.preferences) if digest)


Task = SftTask | DpoTask | MergeTask | PreflightTask


@dataclass(frozen=True)
class Finding:
    """One thing that a loss curve shows: at which step, and what to do about it."""

    kind: str
    step: int
    message: str
    advice: str


@dataclass(frozen=True)
class Note:
    """One warning or piece of advice of a plan: the field it is about, and why."""

    field: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class BaseModelSpec:
    """Where a base model comes from; `credentials_secret` is a reference, never the secret. `template_date` is the
    date that a template which reads the clock writes for ever, YYYY-MM-DD; empty = none."""

    uri: str
    revision: str = ""
    credentials_secret: str = ""
    template_date: str = ""
