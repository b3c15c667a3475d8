"""How much device memory a recipe needs; an estimate that explains itself part by part."""

from dataclasses import dataclass

from posology.training.domain import Lora, Method
from posology.training.planning.shapes import ModelShape, lora_parameters

HEADROOM = 0.9
"""Share of a device that an estimate may fill: allocator slack and the CUDA context take the rest."""

NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes per weight in NF4: 4 bits, an 8-bit scale per 64 weights, an fp32 scale of scales per 256 of those
(double quantisation, QLoRA paper, section 3)."""


@dataclass(frozen=True)
class Memory:
    """Bytes by purpose; `weights` are the model's own, trained or frozen."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.gradients + self.optimizer + self.activations


def estimate(
    shape: ModelShape,
    *,
    method: Method,
    lora: Lora,
    sequences: int,
    max_length: int,
    checkpoint_activations: bool,
    bf16: bool = True,
) -> Memory:
    """Bytes for one device that holds the whole model and `sequences` sequences of `max_length` tokens at once."""
    trained = shape.parameters if method is Method.FULL else lora_parameters(shape, lora)
    size = 2 if method is Method.QLORA else 4  # of a trained weight: QLoRA adapters are bf16, all else fp32
    return Memory(
        weights=_weights(shape, method, bf16=bf16),
        adapter=0 if method is Method.FULL else trained * size,
        gradients=trained * size,
        optimizer=2 * trained * size,  # AdamW keeps two moments in the dtype of the weight
        activations=_activations(
            shape, sequences * max_length, checkpointing=checkpoint_activations, size=2 if bf16 else 4
        ),
    )


def _weights(shape: ModelShape, method: Method, *, bf16: bool) -> int:
    if method is Method.FULL:
        return 4 * shape.parameters
    if method is Method.QLORA:
        return int(shape.linear_parameters * NF4_BYTES) + 2 * (shape.parameters - shape.linear_parameters)
    return shape.parameters * (2 if bf16 else 4)


def _activations(shape: ModelShape, tokens: int, *, checkpointing: bool, size: int) -> int:
    """What backward needs. Attention is the memory-efficient kind, so nothing grows with the square of length.

    A layer keeps its inputs to norms and projections (about 12 hidden) and three of the MLP width; with
    recomputation each layer keeps its input only, and one layer at a time the rest. TRL computes the loss
    from hidden states in tiles, so no logits of the whole vocabulary are held, only a gradient per token.
    """
    layer = tokens * (12 * shape.hidden + 3 * shape.intermediate) * size
    kept = shape.layers * tokens * shape.hidden * size + layer if checkpointing else shape.layers * layer
    return kept + 3 * tokens * shape.hidden * 4
