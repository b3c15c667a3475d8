"""Run by the worker python: `qlora_checks.py BASE ADAPTER` prints what a QLoRA model does, as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model

from posology.training.domain import Lora, Method
from posology.training.worker import hardware, merge, models, probes, tokens

MACHINE = hardware.detect()


def gradients(model: Any) -> dict[str, torch.Tensor]:
    """Of one backward pass through a fresh adapter, the same each time."""
    lora = Lora(rank=4, alpha=8, dropout=0.0, target_modules=("q_proj", "v_proj"))
    adapted = get_peft_model(model, models.lora_config(lora))
    torch.manual_seed(1)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.bfloat16).normal_(std=0.05)
    adapted.train()
    ids = torch.arange(5, 45).repeat(2, 1)
    adapted(input_ids=ids, labels=ids).loss.backward()
    return {name: each.grad.float() for name, each in adapted.named_parameters() if each.grad is not None}


def gradient_error(base: Path) -> float:
    """Largest relative difference between gradients through NF4 after an evaluation, and through the same weights."""
    evaluated = models.load(base, Method.QLORA, MACHINE)
    models.logits(evaluated, [list(range(5, 40))])
    found, expected = gradients(evaluated), gradients(merge.dequantized(base, MACHINE))
    if found.keys() != expected.keys():
        return float("inf")
    return max(float((found[name] - expected[name]).norm() / expected[name].norm()) for name in expected)


def merged_kl(base: Path, adapter: Path, weights: Any) -> float:
    """KL between the trained model and its adapter merged into `weights`."""
    tokenizer = tokens.open_tokenizer(base)
    batch = probes.token_ids(tokenizer, probes.read(adapter), 512)
    trained = models.attach(models.load(base, Method.QLORA, MACHINE), adapter, trainable=False)
    merged = models.attach(weights, adapter, trainable=False).merge_and_unload()
    return merge.compare(models.logits(trained, batch), models.logits(merged, batch)).kl


if __name__ == "__main__":
    base, adapter = Path(sys.argv[1]), Path(sys.argv[2])
    found = {
        "gradient_error": gradient_error(base),
        "kl_dequantized": merged_kl(base, adapter, merge.dequantized(base, MACHINE)),
        "kl_original": merged_kl(base, adapter, models.load(base, Method.LORA, MACHINE)),
        "tolerance": merge.TOLERANCE,
    }
    print(json.dumps(found))
