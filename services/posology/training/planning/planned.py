"""What is to be planned, and the plan."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from posology.training.domain import Dpo, Note, Sft
from posology.training.planning.batches import Batches
from posology.training.planning.devices import Device
from posology.training.planning.memory import Memory
from posology.training.planning.shapes import ModelShape

MIB = 1 << 20


@dataclass(frozen=True)
class Request:
    """What is to be planned: `rows` training pairs and `preference_rows` preferences; `gpus` 0 means the CPU."""

    shape: ModelShape
    sft: Sft
    dpo: Dpo | None
    rows: int
    preference_rows: int
    gpus: int = 0
    device: Device | None = None


@dataclass(frozen=True)
class Plan:
    """The answer. `seconds` is 0 when nothing is known of the device."""

    parameters: int
    trainable: int
    memory: Memory
    batches: Batches
    sft_steps: int
    dpo_steps: int
    seconds: float
    notes: tuple[Note, ...]

    def memory_mib(self) -> Mapping[str, float]:
        """Parts of the estimate, and their sum under `total`."""
        parts = {name: value / MIB for name, value in dataclasses.asdict(self.memory).items()}
        return {**parts, "total": self.memory.total / MIB}
