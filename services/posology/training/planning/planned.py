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
class Lengths:
    """Tokens of prompt and answer, as counted under the base's own template: of the longest row, and on average;
    `packs` is how many rows of maxLength the training rows can be joined into, 0 where that was not counted."""

    longest: int
    mean: float
    packs: int = 0


@dataclass(frozen=True)
class Request:
    """What is to be planned.

    `rows` training pairs, after `validation_rows` were held out, and `preference_rows` preferences, before any is held
    out. `gpus` 0 means the CPU. `general_share` None means that it was not said; `general_rows` None that it was not
    counted. Without `lengths` rows are assumed to be as long as maxLength where memory counts, and of usual length
    where time does. `host_memory` in bytes, 0 = not limited.
    """

    shape: ModelShape
    sft: Sft
    dpo: Dpo | None
    rows: int
    preference_rows: int
    gpus: int = 0
    device: Device | None = None
    validation_rows: int = 0
    general_share: float | None = None
    general_rows: int | None = None
    few_shot_baseline: bool = False
    lengths: Lengths | None = None
    preference_lengths: Lengths | None = None
    host_memory: int = 0


@dataclass(frozen=True)
class Plan:
    """The answer. `seconds` is 0 when nothing is known of the device; memory is that of one device.

    `libraries` is what the process needs beside `memory`: on a CPU both come out of the host's one memory, on a GPU 0.

    `merge_memory` in bytes: what merging holds at once. `copies` of the model are trained side by side.
    """

    parameters: int
    trainable: int
    memory: Memory
    batches: Batches
    sft_steps: int
    dpo_steps: int
    seconds: float
    notes: tuple[Note, ...]
    packs: int = 0
    """Rows that training sees under packing, 0 without it."""
    dpo_memory: Memory | None = None
    merge_memory: int = 0
    copies: int = 1
    libraries: int = 0


def memory_mib(memory: Memory, *, libraries: int) -> Mapping[str, float]:
    """Parts of the estimate in MiB, and their sum under `total`; `libraries` in bytes, named where there are any."""
    parts = {name: value / MIB for name, value in dataclasses.asdict(memory).items()}
    beside = {"libraries": libraries / MIB} if libraries else {}
    return {**parts, **beside, "total": (memory.total + libraries) / MIB}
