"""Run by the worker python: what stands in trained adapters and merges; prints JSON.

`recipe_checks.py CASES.json` with {name: {"adapter", "base", "merged", "method"}}; `base` and `merged` may be absent.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from posology.evaluation.worker import parity
from posology.evaluation.worker.merge_proof import prove
from posology.evaluation.worker.parity_inputs import Trained
from posology.training.worker import merge


def norms(adapter: Path) -> dict[str, float]:
    """The norm of all A, all B and all magnitudes."""
    sums = dict.fromkeys(("lora_A", "lora_B", "lora_magnitude_vector"), 0.0)
    for name, tensor in load_file(adapter / "adapter_model.safetensors").items():
        kind = next(kind for kind in sums if f".{kind}" in name)
        sums[kind] += float(tensor.float().pow(2).sum())
    return {kind: total**0.5 for kind, total in sums.items()}


def proof(base: Path, adapter: Path, merged: Path, method: str) -> dict[str, Any]:
    """The stored merge, and one whose first adapted tensor was spoilt, against the recomputed one."""
    trained = parity.load_trained(Trained(adapter, base, method), merged)
    stored = parity.load(merged, "bfloat16" if method == "QLORA" else "float32")
    healthy = prove(trained, stored)
    again = prove(trained, parity.merge_again(Trained(adapter, base, method), merged))
    spoilt = dict(stored.named_parameters())[healthy.tensors[0].name]
    base_weight = dict(parity.load(base, "float32").named_parameters())[healthy.tensors[0].name]
    with torch.no_grad():
        spoilt.copy_(spoilt.float() + 0.05 * (spoilt.float() - base_weight.float()))
    return {
        "changed": healthy.changed,
        "projections": [each.projection for each in healthy.tensors],
        "residuals": [each.residual for each in healthy.tensors],
        "again": [each.projection for each in again.tensors],
        "spoilt": prove(trained, stored).tensors[0].projection,
    }


def kept() -> dict[str, list[int]]:
    """Tokens of each conversation whose logits a merge keeps, by the size of the vocabulary."""
    conversations = [[1] * 512] * 64
    sizes = {"small": 320, "Llama 3": 128_256, "Gemma 3": 262_144, "absurd": 1 << 40}
    return {name: [len(ids) for ids in merge.within(conversations, vocabulary=size)] for name, size in sizes.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    told: dict[str, Any] = {"kept": kept()}
    for name, case in json.loads(Path(sys.argv[1]).read_text()).items():
        adapter = Path(case["adapter"])
        told[name] = {"norms": norms(adapter)}
        if "merged" in case:
            told[name]["proof"] = proof(Path(case["base"]), adapter, Path(case["merged"]), case["method"])
    print(json.dumps(told))
