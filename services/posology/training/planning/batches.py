"""How a batch is cut to fit the device: micro-batches, accumulation, and recomputed activations."""

import math
from dataclasses import dataclass

from posology.training.domain import ADAMW, Lora, Method
from posology.training.planning.memory import HEADROOM, Memory, estimate
from posology.training.planning.shapes import ModelShape


@dataclass(frozen=True)
class Batches:
    """`micro` examples at once, `accumulation` times per optimiser step."""

    micro: int
    accumulation: int
    checkpoint_activations: bool
    memory: Memory


def fit(
    shape: ModelShape,
    *,
    method: Method,
    lora: Lora,
    batch_size: int,
    max_length: int,
    device_memory: int,
    bf16: bool = True,
    sequences_per_row: int = 1,
    micro: int = 0,
    optim: str = ADAMW,
) -> Batches:
    """The largest micro-batch that fits `device_memory` bytes (0 = no limit), activations recomputed if they must be.

    The optimiser step always sees `batch_size` examples, whatever the device. When nothing fits, the smallest
    is returned: the plan says so, and an attempt ends with a clear error instead of a wrong batch size.
    """
    sizes = [micro] if micro else _divisors(batch_size)
    for size, checkpointing in [(size, False) for size in sizes] + [(size, True) for size in sizes]:
        memory = estimate(
            shape,
            method=method,
            lora=lora,
            sequences=size * sequences_per_row,
            max_length=max_length,
            checkpoint_activations=checkpointing,
            bf16=bf16,
            optim=optim,
        )
        if not device_memory or memory.total <= HEADROOM * device_memory:
            break
    return Batches(size, math.ceil(batch_size / size), checkpointing, memory)


def _divisors(number: int) -> list[int]:
    """Divisors, largest first."""
    return [each for each in range(number, 0, -1) if number % each == 0]
