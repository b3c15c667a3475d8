"""The chain trained = merged = served, measured: the same tokens through each, teacher-forced, and beside a control.

Every model is loaded in the precision that really is used: training's for what was trained, the stored one for what
was merged, the engine's own for what is served. The control is the base through the same two paths.
"""

import gc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from posology.core.weights import NF4, attention
from posology.evaluation.domain import MergeProof, ParityStep, PromptParity
from posology.evaluation.gates.parity import ADAPTER_STEP
from posology.evaluation.worker.merge_proof import prove
from posology.evaluation.worker.parity_inputs import POSITIONS, ControlStep, Served, Trained, stored_dtype

TIE_PERCENTILE = 0.99
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

    def counts(self, width: float) -> list[tuple[int, int]]:
        """For each prompt: different tokens where no near tie excuses them, and near ties (gap up to `width`)."""
        return [
            (sum(different and gap > width for gap, _, different in one), sum(gap <= width for gap, _, _ in one))
            for one in self.prompts
        ]

    def control(self) -> ControlStep:
        """This comparison as the control of a step."""
        width = self.tie_width()
        counts = self.counts(width)
        return ControlStep(tuple(d for d, _ in counts), tuple(t for _, t in counts), width, self.agreement)

    def step(self, name: str, control: ControlStep) -> ParityStep:
        """This comparison as the candidate's, beside its control on the same sequences."""
        rows = zip(self.prompts, self.counts(control.tie_width), control.different, control.ties, strict=True)
        prompts = tuple(PromptParity(len(one), d, t, cd, ct) for one, (d, t), cd, ct in rows)
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
    """The base through every path of a candidate that `merged` and `trained` describe."""
    sequences = [one.ids for one in base_served]
    steps: dict[str, ControlStep] = {}
    if trained is not None:
        steps[ADAPTER_STEP] = _adapter_control(trained, sequences).control()
    model = load(base, stored_dtype(merged))
    steps[SERVED_STEP if trained else WHOLE_STEP] = against_engine(model, base_served).control()
    del model
    free()
    return steps


def chain(
    merged: Path, served: Sequence[Served], trained: Trained | None, steps: dict[str, ControlStep]
) -> tuple[list[ParityStep], MergeProof | None]:
    """The candidate through the same paths, and the proof of its merge on the weights."""
    model = load(merged, stored_dtype(merged))
    measured: list[ParityStep] = []
    proof = None
    if trained is not None:
        with_adapter = load_trained(trained, merged)
        comparison = between(with_adapter, model, [one.ids for one in served])
        measured.append(comparison.step(ADAPTER_STEP, steps[ADAPTER_STEP]))
        proof = prove(with_adapter, model)
        del with_adapter
        free()
    name = SERVED_STEP if trained else WHOLE_STEP
    measured.append(against_engine(model, served).step(name, steps[name]))
    del model
    free()
    return measured, proof


def between(first: Any, second: Any, sequences: Sequence[Sequence[int]]) -> Comparison:
    """KL(first || second) over the whole vocabulary."""
    comparison = Comparison()
    for ids in sequences:
        p, q = log_probabilities(first, ids), log_probabilities(second, ids)
        top = p.topk(2, -1)
        gap = top.values[:, 0] - top.values[:, 1]
        other = q.gather(-1, top.indices)
        change = (gap - (other[:, 0] - other[:, 1])).abs()
        different = p.argmax(-1) != q.argmax(-1)
        actual = torch.tensor(ids[-len(p) :], device=p.device).unsqueeze(-1)
        comparison.prompts.append(list(zip(gap.tolist(), change.tolist(), different.tolist(), strict=True)))
        comparison.kl += float((p.exp() * (p - q)).sum())
        comparison.largest = max(comparison.largest, float((p.gather(-1, actual) - q.gather(-1, actual)).abs().max()))
    return comparison


def against_engine(model: Any, served: Sequence[Served]) -> Comparison:
    """KL(model || served) over the tokens that the engine reports and one bucket of all others.

    Merging outcomes into a bucket can only lower a divergence, so this is a lower bound; with the likeliest 20
    tokens the bucket's share is small wherever a model knows what comes next.
    """
    comparison = Comparison()
    for one in served:
        logs = log_probabilities(model, one.ids)
        places = one.places[-len(logs) :]
        rows = []
        for position, place in enumerate(places):
            rows.append(_position(comparison, logs[position], place, actual=one.ids[position - len(places)]))
        comparison.prompts.append(rows)
    return comparison


def _position(
    comparison: Comparison, logs: torch.Tensor, place: dict[int, float], *, actual: int
) -> tuple[float, float, bool]:
    top = logs.topk(2)
    first, second = int(top.indices[0]), int(top.indices[1])
    floor = min(place.values())  # a token that the engine does not report is at most as likely as the least reported
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


def log_probabilities(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """[n, vocabulary] log-probabilities of the last n tokens of `ids`, n at most POSITIONS; float32."""
    n = min(POSITIONS, len(ids) - 1)
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(ids)], device=device), logits_to_keep=n + 1).logits[0, :-1]
    return torch.log_softmax(logits[-n:].float(), -1)


def _adapter_control(trained: Trained, sequences: Sequence[Sequence[int]]) -> Comparison:
    """The trained base with and without quantisation; without it both paths are the same model, and nothing differs."""
    if trained.method == "QLORA":
        quantized, whole = load_nf4(trained.base), load_nf4(trained.base).dequantize()
        comparison = between(quantized, whole, sequences)
        del quantized, whole
        free()
        return comparison
    exact = [[(math.inf, 0.0, False)] * min(POSITIONS, len(ids) - 1) for ids in sequences]
    return Comparison(exact)


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
    model = PeftModel.from_pretrained(base, str(trained.adapter), autocast_adapter_dtype=False, local_files_only=True)
    return model.eval()


def free() -> None:
    """Give memory of models that nobody holds any more back before the next is loaded."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"
