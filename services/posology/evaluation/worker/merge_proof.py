"""The merge proved on the weights: what logits cannot tell from the noise of a precision, a projection can."""

from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer

from posology.evaluation.domain import MergeProof, TensorMerge

PRODUCT = 1e-5
"""Relative error of a product B A on another device than that of the merge (TF32), in norms of the tensor."""
_OUTER = "base_model.model."


def prove(trained: Any, merged: Any) -> MergeProof:
    """Every adapted tensor of `merged` beside base + update recomputed from the PEFT model `trained`.

    The base is the one that training saw: dequantised NF4 under QLORA. Tensors without an adapter must equal it.
    """
    stored = dict(merged.named_parameters())
    with torch.no_grad():
        adapted = dict(_adapted(trained))
        tensors = tuple(_tensor(name, stored.get(name), base, delta) for name, (base, delta) in adapted.items())
        changed = tuple(sorted(_changed(trained, stored, set(adapted))))
    return MergeProof(tensors, changed)


def update(module: LoraLayer, base: torch.Tensor) -> torch.Tensor:
    """What the adapter `default` adds to `base`, the whole weight [outputs, inputs] of its module; float32.

    Plain LoRA adds scale * B A, with rsLoRA's scale where it was trained with it. DoRA gives each output's row of that
    sum the length that it learned, so what it adds holds a share of the base itself.
    """
    delta: torch.Tensor = module.get_delta_weight("default").float()
    if "default" not in module.lora_magnitude_vector:
        return delta
    whole = base.float() + delta
    lengths = module.lora_magnitude_vector["default"].weight.float().view(-1, 1)
    return whole * (lengths / whole.norm(dim=1, keepdim=True)) - base.float()


def _adapted(trained: Any) -> Iterator[tuple[str, tuple[torch.Tensor, torch.Tensor]]]:
    for name, module in trained.named_modules():
        if isinstance(module, LoraLayer):
            base = _whole(module.base_layer.weight)
            yield f"{name.removeprefix(_OUTER)}.weight", (base, update(module, base))


def _tensor(name: str, stored: torch.Tensor | None, base: torch.Tensor, delta: torch.Tensor) -> TensorMerge:
    if stored is None or stored.shape != base.shape:
        return TensorMerge(name, None, None)
    base, delta, merged = base.float(), delta.to(base.device), stored.float().to(base.device)
    recomputed = (base + delta).to(stored.dtype).float()
    expected = float(((recomputed - base) * delta).sum(dtype=torch.float64))
    observed = float(((merged - base) * delta).sum(dtype=torch.float64))
    if expected:
        projection: float | None = observed / expected
    else:  # an update of zeros, or one that rounding swallows whole
        projection = 1.0 if torch.equal(merged, recomputed) else None
    unit = (torch.finfo(stored.dtype).eps + PRODUCT) * float(recomputed.norm())
    return TensorMerge(name, projection, float((merged - recomputed).norm()) / unit if unit else 0.0)


def _changed(trained: Any, stored: dict[str, torch.Tensor], adapted: set[str]) -> Iterator[str]:
    """Names of tensors that should be the base's (or those that were trained whole) and are not."""
    own: dict[str, torch.Tensor] = {}
    for raw, parameter in trained.named_parameters():
        if ".lora_" in raw or ".original_module." in raw:
            continue
        name = raw.removeprefix(_OUTER).replace(".base_layer.", ".").replace(".modules_to_save.default.", ".")
        own[name] = parameter
    for name, tensor in stored.items():
        if name in adapted:
            continue
        source = own.get(name)
        if source is None or not torch.equal(_whole(source).to(tensor.dtype).to(tensor.device), tensor):
            yield name


def _whole(weight: torch.Tensor) -> torch.Tensor:
    """The weight as a plain tensor: NF4 dequantised, the rest as it is."""
    state = getattr(weight, "quant_state", None)
    if state is None:
        return weight.data
    from bitsandbytes.functional import dequantize_4bit

    whole: torch.Tensor = dequantize_4bit(weight.data, state)
    return whole
