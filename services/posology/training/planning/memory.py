"""How much device memory a recipe needs; an estimate that explains itself part by part."""

from dataclasses import dataclass

from posology.training.domain import ADAMW, Lora, Method
from posology.training.planning.shapes import ModelShape, lora_parameters, targets

HEADROOM = 0.9
"""Share of a device that an estimate may fill: allocator slack and the CUDA context take the rest."""

NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes per weight in NF4: 4 bits, an 8-bit scale per 64 weights, an fp32 scale of scales per 256 of those
(double quantisation, QLoRA paper, section 3)."""


LIBRARIES = 1 << 30
"""Bytes of the host that torch, transformers and trl take before any weight is there; measured 0.8 GiB on a CPU."""

BLOCK = 256
"""Values of one block of an 8-bit moment; each block has one fp32 scale."""

_MOMENTS = {"adamw": 2, "lion": 1}


def moment_bytes(optim: str, weight: int) -> float:
    """Bytes that an optimizer keeps for each trained weight of `weight` bytes, by transformers' name of it."""
    family = optim.removeprefix("paged_").split("_")[0]
    size = 1 + 4 / BLOCK if "8bit" in optim else 4.0 if "32bit" in optim else float(weight)
    return _MOMENTS[family] * size


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
    optim: str = ADAMW,
) -> Memory:
    """Bytes for one device that holds the whole model and `sequences` sequences of `max_length` tokens at once."""
    trained = shape.parameters if method is Method.FULL else lora_parameters(shape, lora)
    is_dora = method is not Method.FULL and lora.use_dora
    size = 2 if method is Method.QLORA else 4  # of a trained weight: QLoRA adapters are bf16, all else fp32
    return Memory(
        weights=_weights(shape, method, bf16=bf16),
        adapter=0 if method is Method.FULL else trained * size,
        gradients=trained * size,
        optimizer=round(trained * moment_bytes(optim, size)),
        activations=_activations(
            shape, sequences * max_length, checkpointing=checkpoint_activations, size=2 if bf16 else 4
        )
        + (_dora(shape, lora, sequences * max_length, size=2 if bf16 else 4) if is_dora else 0),
    )


def _dora(shape: ModelShape, lora: Lora, tokens: int, *, size: int) -> int:
    """What DoRA adds: of each adapted module two results for the gradient of its lengths, and for one module at a
    time the whole weight W + B A in fp32 (and W itself, which QLORA has to dequantise first)."""
    adapted = targets(shape, lora)
    largest = max((each.outputs * each.inputs for each in adapted), default=0)
    return 2 * tokens * size * sum(each.outputs for each in adapted) + 2 * 4 * largest


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
