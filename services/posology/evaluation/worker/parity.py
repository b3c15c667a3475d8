"""The ladder adapter = merged = served: the same tokens through each, teacher-forced."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from posology.evaluation.domain import ParityStep
from posology.evaluation.worker.parity_inputs import Served, Trained


@dataclass
class _Sums:
    tokens: int = 0
    same: int = 0
    kl: float = 0.0
    largest: float = 0.0

    def step(self, name: str) -> ParityStep:
        if not self.tokens:
            return ParityStep(name, 0, math.nan, None, None)
        return ParityStep(name, self.tokens, self.same / self.tokens, self.kl / self.tokens, self.largest)


def ladder(merged: Path, served: Sequence[Served], trained: Trained | None) -> Iterator[ParityStep]:
    """One rung for adapter = merged where there is an adapter, and one for merged = served."""
    model = _whole(merged)
    if trained is not None:
        yield _exact(_adapted(trained), model, [one.ids for one in served])
    yield _against_engine(model, served, name="merged = served" if trained else "model = served")


def _exact(trained: Any, merged: Any, sequences: Sequence[Sequence[int]]) -> ParityStep:
    """KL(trained || merged) over the whole vocabulary."""
    sums = _Sums()
    for ids in sequences:
        p, q = _log_probabilities(trained, ids), _log_probabilities(merged, ids)
        actual = torch.tensor(ids[1:]).unsqueeze(-1)
        sums.tokens += len(ids) - 1
        sums.same += int((p.argmax(-1) == q.argmax(-1)).sum())
        sums.kl += float((p.exp() * (p - q)).sum())
        sums.largest = max(sums.largest, float((p.gather(-1, actual) - q.gather(-1, actual)).abs().max()))
    return sums.step("adapter = merged")


def _against_engine(merged: Any, served: Sequence[Served], *, name: str) -> ParityStep:
    """KL(merged || served) over the tokens that the engine reports and one bucket of all others.

    Merging outcomes into a bucket can only lower a divergence, so this is a lower bound; with the likeliest 20
    tokens the bucket's share is small wherever a model knows what comes next.
    """
    sums = _Sums()
    for one in served:
        logs = _log_probabilities(merged, one.ids)
        for position, place in enumerate(one.places[1:]):
            _add_place(sums, logs[position], place, actual=one.ids[position + 1])
    return sums.step(name)


def _add_place(sums: _Sums, logs: torch.Tensor, place: dict[int, float], *, actual: int) -> None:
    ids = torch.tensor(list(place))
    q, p = torch.tensor(list(place.values()), dtype=torch.float64), logs[ids].double()
    rest_p, rest_q = 1 - float(p.exp().sum()), 1 - float(q.exp().sum())
    sums.tokens += 1
    sums.same += int(int(logs.argmax()) == max(place, key=place.__getitem__))
    sums.kl += float((p.exp() * (p - q)).sum()) + _rest(rest_p, rest_q)
    sums.largest = max(sums.largest, abs(float(logs[actual]) - place[actual]))


def _rest(p: float, q: float) -> float:
    # Both are differences of floats near 1; below their rounding there is no bucket to speak of.
    return p * math.log(p / q) if p > 1e-9 and q > 1e-9 else 0.0


def _log_probabilities(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """[length - 1, vocabulary] log-probabilities of the next token, float32 on the CPU."""
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(ids)], device=device)).logits[0, :-1]
    return torch.log_softmax(logits.float(), -1).cpu()


def _whole(folder: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(str(folder), use_safetensors=True, dtype="auto", local_files_only=True)
    return model.to(_device()).eval()


def _adapted(trained: Trained) -> Any:
    """The model that training saw: NF4 under QLORA, bf16 or fp32 else, with the adapter as it was saved."""
    options: dict[str, Any] = {"dtype": "auto", "use_safetensors": True, "local_files_only": True}
    if trained.method == "QLORA":
        options |= {"quantization_config": _nf4(), "dtype": torch.bfloat16, "device_map": {"": _device()}}
    base = AutoModelForCausalLM.from_pretrained(str(trained.base), **options)
    model = PeftModel.from_pretrained(base, str(trained.adapter), autocast_adapter_dtype=False, local_files_only=True)
    return (model if trained.method == "QLORA" else model.to(_device())).eval()


def _nf4() -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"
