"""The chain trained = merged = served, measured: the same tokens through each, teacher-forced, and beside a control.

Every model is loaded in the precision that really is used: training's for what was trained, the stored one for what
was merged, the engine's own for what is served. A control shows what the two paths of a step differ in where nothing is
wrong: the base in this process and in the engine; the trained model and a merge that is made here.
"""

import gc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.tuners.lora.layer import LoraLayer
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from posology.core.weights import NF4, attention
from posology.evaluation.domain import MergeProof, ParityStep, PromptParity
from posology.evaluation.gates.parity import ADAPTER_STEP
from posology.evaluation.worker.merge_proof import prove, update
from posology.evaluation.worker.parity_inputs import ControlStep, Forced, Served, Trained, stored_dtype

TIE_PERCENTILE = 0.99
TOP = 20
"""Likeliest tokens that a path reports at each position."""
SERVED_STEP, WHOLE_STEP = "merged = served", "model = served"


@dataclass
class Comparison:
    """Two paths of one model: for each prompt and position the gap between the first path's two likeliest tokens,
    how much the second path changes that gap, and whether the two choose different tokens; and sums over all."""

    prompts: list[list[tuple[float, float, bool]]] = field(default_factory=list)
    kl: float = 0.0
    largest: float = 0.0

    @property
    def tokens(self) -> int:
        return sum(map(len, self.prompts))

    @property
    def agreement(self) -> float:
        """Share of equal greedy tokens; NaN without any."""
        return 1 - sum(p[2] for one in self.prompts for p in one) / self.tokens if self.tokens else math.nan

    def tie_width(self) -> float:
        """The 99th percentile of how much the gap changes."""
        changes = sorted(change for one in self.prompts for _, change, _ in one)
        return changes[min(len(changes) - 1, math.ceil(TIE_PERCENTILE * len(changes)))] if changes else 0.0

    def counts(self, width: float) -> list[tuple[int, int, int]]:
        """For each prompt: different tokens where no near tie excuses them, near ties (gap up to `width`), and all
        different tokens."""
        return [
            (
                sum(different and gap > width for gap, _, different in one),
                sum(gap <= width for gap, _, _ in one),
                sum(different for _, _, different in one),
            )
            for one in self.prompts
        ]

    def control(self) -> ControlStep:
        """This comparison as the control of a step."""
        width = self.tie_width()
        different, ties, all_different = zip(*self.counts(width), strict=True)
        return ControlStep(different, ties, all_different, width, self.agreement)

    def step(self, name: str, control: ControlStep) -> ParityStep:
        """This comparison as the candidate's, beside its control on the same sequences."""
        controlled = zip(control.different, control.ties, control.all_different, strict=True)
        rows = zip(self.prompts, self.counts(control.tie_width), controlled, strict=True)
        prompts = tuple(PromptParity(len(one), d, t, cd, ct, a, ca) for one, (d, t, a), (cd, ct, ca) in rows)
        kl = self.kl / self.tokens if self.tokens else None
        return ParityStep(
            name,
            self.tokens,
            self.agreement,
            kl,
            self.largest if self.tokens else None,
            prompts,
            control.tie_width,
            control.agreement,
        )


def controls(
    base: Path, base_served: Sequence[Served], trained: Trained | None, merged: Path
) -> dict[str, ControlStep]:
    """The base through the paths of the step to the engine, in the precision of `merged`; any candidate may use it.

    The other step has its control in `chain`, for its noise is the adapter's own.
    """
    model = load(base, stored_dtype(merged))
    steps = {SERVED_STEP if trained else WHOLE_STEP: against(model, base_served).control()}
    del model
    free()
    return steps


def chain(
    merged: Path, served: Sequence[Served], trained: Trained | None, steps: Mapping[str, ControlStep]
) -> tuple[list[ParityStep], MergeProof | None]:
    """The candidate through the same paths, and the proof of its merge on the weights."""
    model = load(merged, stored_dtype(merged))
    measured: list[ParityStep] = []
    proof = None
    if trained is not None:
        step, proof = _adapter_step(model, trained, merged, [Forced(one.ids, len(one.places)) for one in served])
        measured.append(step)
    name = SERVED_STEP if trained else WHOLE_STEP
    measured.append(against(model, served).step(name, steps[name]))
    del model
    free()
    return measured, proof


def _adapter_step(
    stored: Any, trained: Trained, merged: Path, sequences: Sequence[Forced]
) -> tuple[ParityStep, MergeProof]:
    """The stored merge against the model that was trained, beside a merge made here from the same adapter.

    Adapter path and merged path round differently even where the merge is right: the update is a product of its own
    in the one, part of a rounded weight in the other, and under QLORA the kernels differ too. The base without an
    adapter shows none of that. A merge made here does, so what the stored one differs in beyond it is a defect.
    """
    with_adapter = load_trained(trained, merged)
    said = record(with_adapter, sequences)
    comparison = against(stored, said)
    proof = prove(with_adapter, stored)
    del with_adapter
    free()
    recomputed = merge_again(trained, merged)
    control = against(recomputed, said).control()
    del recomputed
    free()
    return comparison.step(ADAPTER_STEP, control), proof


def record(model: Any, sequences: Sequence[Forced]) -> list[Served]:
    """What a model says of sequences, as an engine would tell it: its likeliest tokens and the actual one."""
    served = []
    for one in sequences:
        logs = log_probabilities(model, one.ids, one.positions)
        top = logs.topk(min(TOP, logs.shape[-1]), -1)
        places = [dict(zip(*pair, strict=True)) for pair in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
        for place, row, actual in zip(places, logs, one.ids[-one.positions :], strict=True):
            place[actual] = float(row[actual])
        served.append(Served(one.ids, tuple(places)))
    return served


def against(model: Any, served: Sequence[Served]) -> Comparison:
    """KL(model || served) over the tokens that the other path reports and one bucket of all others.

    Merging outcomes into a bucket can only lower a divergence, so this is a lower bound; with the likeliest 20
    tokens the bucket's share is small wherever a model knows what comes next.
    """
    comparison = Comparison()
    for one in served:
        n = len(one.places)
        logs = log_probabilities(model, one.ids, n)
        rows = []
        for position, place in enumerate(one.places):
            rows.append(_position(comparison, logs[position], place, actual=one.ids[position - n]))
        comparison.prompts.append(rows)
    return comparison


def _position(
    comparison: Comparison, logs: torch.Tensor, place: dict[int, float], *, actual: int
) -> tuple[float, float, bool]:
    top = logs.topk(2)
    first, second = int(top.indices[0]), int(top.indices[1])
    # A token that is not reported is at most as likely as the last of the likeliest; the actual one may lie far below.
    floor = sorted(place.values(), reverse=True)[:TOP][-1]
    gap = float(top.values[0] - top.values[1])
    change = abs(gap - (place.get(first, floor) - place.get(second, floor)))
    ids = torch.tensor(list(place), device=logs.device)
    q = torch.tensor(list(place.values()), dtype=torch.float64, device=logs.device)
    p = logs[ids].double()
    comparison.kl += float((p.exp() * (p - q)).sum()) + _rest(1 - float(p.exp().sum()), 1 - float(q.exp().sum()))
    comparison.largest = max(comparison.largest, abs(float(logs[actual]) - place[actual]))
    return gap, change, first != max(place, key=place.__getitem__)


def _rest(p: float, q: float) -> float:
    # Both are differences of floats near 1; below their rounding there is no bucket to speak of.
    return p * math.log(p / q) if p > 1e-9 and q > 1e-9 else 0.0


def log_probabilities(model: Any, ids: Sequence[int], n: int) -> torch.Tensor:
    """[n, vocabulary] log-probabilities of the last n tokens of `ids`, n less than there are; float32."""
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(ids)], device=device), logits_to_keep=n + 1).logits[0, :-1]
    return torch.log_softmax(logits[-n:].float(), -1)


def load(folder: Path, dtype: str) -> Any:
    """A model folder in a precision, ready to compare."""
    model = AutoModelForCausalLM.from_pretrained(
        str(folder),
        use_safetensors=True,
        dtype=getattr(torch, dtype),
        local_files_only=True,
        attn_implementation=attention(folder),
    )
    return model.to(_device()).eval()


def load_nf4(folder: Path) -> Any:
    """A base as QLORA training saw it."""
    model = AutoModelForCausalLM.from_pretrained(
        str(folder),
        use_safetensors=True,
        dtype=torch.bfloat16,
        local_files_only=True,
        attn_implementation=attention(folder),
        quantization_config=BitsAndBytesConfig(**NF4),
        device_map={"": _device()},
    )
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False  # training multiplies without that repacking, too
    return model.eval()


def load_trained(trained: Trained, merged: Path) -> Any:
    """The model that training saw: NF4 under QLORA, else in training's precision, with the adapter as it was saved.

    Where the record does not name the precision it is the merged model's, for training and merging load a base alike.
    """
    if trained.method == "QLORA":
        base = load_nf4(trained.base)
    else:
        base = load(trained.base, trained.dtype or stored_dtype(merged))
    return _attach(base, trained.adapter).eval()


def _attach(base: Any, adapter: Path) -> Any:
    """`base` with the adapter in the precision that it was saved in, bit for bit; PEFT would take the base's."""
    model = PeftModel.from_pretrained(base, str(adapter), autocast_adapter_dtype=False, local_files_only=True)
    saved = load_file(str(adapter / "adapter_model.safetensors"))
    dtype = next(iter(saved.values())).dtype
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.to(dtype)
    with torch.no_grad():
        for name, tensor in get_peft_model_state_dict(model).items():
            if name in saved:
                tensor.copy_(saved[name])
    return model


def merge_again(trained: Trained, merged: Path) -> Any:
    """The merge as it should be, in the precision that `merged` is stored in, with nothing taken from `merged`.

    Under QLORA the adapter belongs to the dequantised weights: those are what training saw.
    """
    dtype = getattr(torch, stored_dtype(merged))
    if trained.method == "QLORA":
        base = load_nf4(trained.base).dequantize()
    else:
        base = load(trained.base, trained.dtype or stored_dtype(merged))
    model = _attach(base, trained.adapter)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LoraLayer):
                weight = module.base_layer.weight
                weight.data = (weight.float() + update(module, weight.data)).to(weight.dtype)
    return model.unload().to(dtype).eval()


def free() -> None:
    """Give memory of models that nobody holds any more back before the next is loaded."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"
