"""Proof that rows joined by packing do not see each other, on the very model and batch that training uses.

A model that reads its mask and positions keeps them apart. One with a state that runs along the row (Mamba, linear
attention without its kernels) does not, and would learn from its neighbour without a word.
"""

from typing import Any

import torch
from trl import SFTTrainer

from posology.core.errors import InvalidInput, Violation

LONGEST = 64
"""Tokens of each of the two rows that are looked at."""
SHARE = 0.05
"""Of the divergence that mixing makes: below it is rounding; a model without a barrier shows all of it."""
FLOOR = 1e-6
"""Nats per token that kernels of different shapes may differ in, whatever mixing would make."""


def check(trainer: SFTTrainer) -> dict[str, float]:
    """KL (nats per token) of a second row behind a first one from that row alone: `joined` as the trainer joins them,
    and `mixed` as one text. InvalidInput where joining mixes."""
    held = trainer.train_dataset
    size = int(held[0]["seq_lengths"][0])
    first = held[0]["input_ids"][: min(size, LONGEST)]
    second = held[len(held) - 1]["input_ids"][: min(int(held[len(held) - 1]["seq_lengths"][0]), LONGEST)]
    both = {"input_ids": first + second, "labels": first + second, "seq_lengths": [len(first), len(second)]}
    inputs = trainer.data_collator([both])
    model = trainer.model
    device = next(model.parameters()).device
    placed = {key: value.to(device) if torch.is_tensor(value) else value for key, value in inputs.items()}
    placed.pop("labels")
    was_training = model.training
    model.eval()
    with torch.no_grad():
        alone = _log_probabilities(model, input_ids=torch.tensor([second], device=device))
        joined = _log_probabilities(model, **placed)[len(first) :]
        mixed = _log_probabilities(model, input_ids=torch.tensor([first + second], device=device))[len(first) :]
    model.train(was_training)
    figures = {"joined": _divergence(alone, joined), "mixed": _divergence(alone, mixed)}
    if figures["joined"] > max(FLOOR, SHARE * figures["mixed"]):
        raise InvalidInput.of(
            [
                Violation(
                    "spec.training.sft.packing",
                    f"this model lets joined rows see each other (KL {figures['joined']:.2g} nats per token from a row "
                    f"alone, {figures['mixed']:.2g} as one text); leave packing out",
                )
            ]
        )
    return figures


def _log_probabilities(model: Any, **inputs: Any) -> torch.Tensor:
    return torch.log_softmax(model(**inputs, use_cache=False).logits[0].float().cpu(), -1)


def _divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    return float((p.exp() * (p - q)).sum(-1).mean())
