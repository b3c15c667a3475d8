"""What is known of a device before anything runs on it, and how long a recipe takes there."""

from dataclasses import dataclass

from posology.training.domain import Method
from posology.training.planning.shapes import ModelShape

GIB = 1 << 30


@dataclass(frozen=True)
class Device:
    """`memory` in bytes; `flops` are dense bf16 (CPU: fp32) operations per second as the data sheet has them
    (fp32 where bf16 is not computed).

    `share` is what training reaches of them: 0.35 to 0.45 is usual for a tuned run on one GPU, small models less.
    """

    name: str
    memory: int
    flops: float
    share: float = 0.35
    bf16: bool = True
    """Whether it computes in bf16; GPUs before Ampere don't, and hold LORA's weights in fp32."""


DEVICES = (
    Device("NVIDIA H200", 141 * GIB, 989e12),
    Device("NVIDIA H100", 80 * GIB, 989e12),
    Device("NVIDIA A100 80GB", 80 * GIB, 312e12),
    Device("NVIDIA A100 40GB", 40 * GIB, 312e12),
    Device("NVIDIA L40S", 48 * GIB, 362e12),
    Device("NVIDIA A10", 24 * GIB, 125e12),
    Device("NVIDIA L4", 24 * GIB, 121e12),
    Device("NVIDIA V100", 32 * GIB, 15.7e12, bf16=False),
    Device("NVIDIA T4", 16 * GIB, 8.1e12, bf16=False),
)
"""Ordered from large to small."""


CPU_FLOPS = 30e9
"""fp32 operations per second and core that small models reach in training; measured 33e9 with two threads."""


def cpu(cores: int) -> Device:
    """The host; its memory is not looked at."""
    return Device("the CPU", 0, cores * CPU_FLOPS, share=1.0, bf16=False)


def find(name: str) -> Device | None:
    """The device whose name is part of `name`, as a driver says it (`NVIDIA H100 80GB HBM3`)."""
    folded = name.casefold()
    return next((each for each in DEVICES if each.name.casefold() in folded), None)


def smallest_for(needed: int) -> Device | None:
    """The smallest device that holds `needed` bytes and computes in bf16, as the estimate takes for granted."""
    return next((each for each in reversed(DEVICES) if each.bf16 and each.memory >= needed), None)


def flops_per_token(shape: ModelShape, method: Method, *, checkpoint_activations: bool) -> float:
    """Operations per trained token: 2 per weight forward, 2 for the gradient of inputs, 2 for that of weights.

    An adapter needs no gradient of the base's weights; recomputed activations cost one more forward. Attention
    itself is left out: a few percent at the lengths of instruction data.
    """
    passes = 6 if method is Method.FULL else 4
    return float(shape.parameters) * (passes + (2 if checkpoint_activations else 0))


def seconds(tokens: float, flops: float, device: Device) -> float:
    """Time for `tokens` of `flops` operations each."""
    return tokens * flops / (device.flops * device.share)
