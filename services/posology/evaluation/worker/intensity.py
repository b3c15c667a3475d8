"""How far tuning moved a model: mean KL(tuned || base) over the base's answers to general prompts, nats per token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from posology.evaluation.worker.parity import free, load
from posology.evaluation.worker.parity_inputs import stored_dtype


def measure(tuned: Path, base: Path, sequences: Sequence[tuple[Sequence[int], int]]) -> dict[str, Any]:
    """`sequences`: token ids, and the place in them where the answer starts (end of turn included).

    Teacher-forced over the whole vocabulary, each model in the precision that it is stored in; log-probabilities in
    float32, since bfloat16 steps by more than what is measured. JSON: `mean_kl`, `tokens`, `prompts`.
    """
    first, second = load(tuned, stored_dtype(tuned)), load(base, stored_dtype(base))
    total, tokens = 0.0, 0
    for ids, start in sequences:
        p, q = _answer(first, ids, start), _answer(second, ids, start)
        total += float((p.exp() * (p - q)).sum())
        tokens += len(p)
    del first, second
    free()
    return {"mean_kl": max(0.0, total / tokens) if tokens else None, "tokens": tokens, "prompts": len(sequences)}


def _answer(model: Any, ids: Sequence[int], start: int) -> torch.Tensor:
    """[answer tokens, vocabulary] log-probabilities at the places where the answer's tokens were chosen."""
    device = next(model.parameters()).device
    n = len(ids) - start
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(ids)], device=device), logits_to_keep=n + 1).logits[0, :-1]
    return torch.log_softmax(logits[-n:].float(), -1) if n else logits[:0].float()
