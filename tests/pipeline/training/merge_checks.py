"""Run by the worker python: streamed merges beside PEFT's own. `merge_checks.py equal FOLDER` prints, for each kind of
adapter, the tensors that differ; `merge_checks.py peak FOLDER` prints what a merge of a larger model holds at once."""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from posology.training.domain import Method
from posology.training.worker import hardware, merge, models, streamed_merge

MACHINE = hardware.detect()
MIB = 1 << 20


class Fast(hardware.Hardware):
    """A machine that multiplies bf16 fast, so that LoRA's base is bf16; still a CPU."""

    @property
    def autocast(self) -> bool:
        return True


BF16 = Fast("cpu", "CPU", 0, MACHINE.threads)


def bases(root: Path) -> dict[str, Path]:
    """Four architectures: plain, tied, with transposed weights, with fused experts."""
    torch.manual_seed(0)
    small = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
    LlamaForCausalLM(LlamaConfig(**small, **heads)).save_pretrained(root / "llama")
    Gemma3ForCausalLM(Gemma3TextConfig(**small, **heads)).to(torch.bfloat16).save_pretrained(
        root / "gemma3", max_shard_size="60KB"
    )
    GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=64, n_layer=2, n_head=2)).save_pretrained(root / "gpt2")
    Qwen3MoeForCausalLM(Qwen3MoeConfig(**small, **heads, **experts)).save_pretrained(root / "moe")
    return {name: root / name for name in ("llama", "gemma3", "gpt2", "moe")}


def adapter(base: Path, folder: Path, *, precision: torch.dtype = torch.float32, **options: Any) -> Path:
    """An adapter whose every tensor is noise; `options` are LoraConfig's."""
    plain = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
    wrapped = get_peft_model(plain, LoraConfig(**settings))
    torch.manual_seed(1)
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn_like(parameter) * 0.05
            parameter.data = (parameter.data + noise if "lora_" not in name or "magnitude" in name else noise).to(
                precision
            )
    wrapped.save_pretrained(str(folder))
    return folder


CASES: dict[str, tuple[str, Method, Any, dict[str, Any]]] = {
    "fp32": ("llama", Method.LORA, MACHINE, {}),
    "bf16": ("llama", Method.LORA, BF16, {}),
    "bf16 adapter on bf16": ("llama", Method.LORA, BF16, {"precision": torch.bfloat16}),
    "qlora": ("llama", Method.QLORA, MACHINE, {"precision": torch.bfloat16}),
    "dora": ("llama", Method.LORA, MACHINE, {"use_dora": True}),
    "dora bf16": ("llama", Method.LORA, BF16, {"use_dora": True}),
    "dora on qlora": ("llama", Method.QLORA, MACHINE, {"use_dora": True, "target_modules": ["q_proj", "up_proj"]}),
    "rslora with its own ranks": ("llama", Method.LORA, MACHINE, {"use_rslora": True, "rank_pattern": {"q_proj": 8}}),
    "alpha of one module": ("llama", Method.LORA, MACHINE, {"alpha_pattern": {"layers.1.mlp.up_proj": 64}}),
    "head saved whole": ("llama", Method.LORA, MACHINE, {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
    "norms saved whole": ("llama", Method.LORA, MACHINE, {"target_modules": ["q_proj"], "modules_to_save": ["norm"]}),
    "embedding adapted": ("llama", Method.LORA, MACHINE, {"target_modules": ["q_proj", "embed_tokens"]}),
    "head adapted": ("llama", Method.LORA, MACHINE, {"target_modules": ["v_proj", "lm_head"]}),
    "tied, in shards": ("gemma3", Method.LORA, BF16, {}),
    "tied, raised to fp32": ("gemma3", Method.LORA, MACHINE, {}),
    "tied qlora": ("gemma3", Method.QLORA, MACHINE, {"precision": torch.bfloat16}),
    "transposed weights": ("gpt2", Method.LORA, MACHINE, {"target_modules": ["c_attn", "c_proj"]}),
    "attention beside fused experts": ("moe", Method.LORA, MACHINE, {"target_modules": ["q_proj", "v_proj"]}),
}
UNTIED: dict[str, dict[str, Any]] = {
    "tied head adapted": {"target_modules": ["q_proj", "lm_head"]},
    "tied embedding adapted": {"target_modules": ["q_proj", "embed_tokens"]},
    "tied head saved whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
}


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a model folder."""
    return {name: each for path in sorted(folder.glob("*.safetensors")) for name, each in load_file(path).items()}


def settings(folder: Path) -> dict[str, Any]:
    """All JSON that stands beside the weights, but the index of their files."""
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json") if "index" not in path.name}


def equal(root: Path) -> dict[str, Any]:
    """For each case: what differs from PEFT's merge in memory, or why it did not stream."""
    below = bases(root)
    report: dict[str, Any] = {}
    for number, (name, (base, method, machine, options)) in enumerate(CASES.items()):
        trained = adapter(below[base], root / f"adapter-{number}", **options)
        streamed, whole = root / f"streamed-{number}", root / f"whole-{number}"
        for folder in (streamed, whole):
            folder.mkdir()
        try:
            streamed_merge.plan(below[base], trained, method=method, machine=machine).write(streamed)
        except streamed_merge.NotStreamable as error:
            report[name] = {"why": str(error)}
            continue
        merge.whole(below[base], trained, whole, method=method, machine=machine)
        one, other = tensors(streamed), tensors(whole)
        different = sorted(one.keys() ^ other.keys())
        different += [key for key in one.keys() & other.keys() if not _same(one[key], other[key])]
        report[name] = {
            "different": different,
            "settings": settings(streamed) == settings(whole),
            "files": len(list(streamed.glob("*.safetensors"))),
        }
    for name, options in UNTIED.items():
        report[name] = {"largest": untied_difference(below["gemma3"], root / name.replace(" ", "-"), options)}
    return report


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and bool(torch.equal(one, other))


def untied_difference(base: Path, folder: Path, options: dict[str, Any]) -> float:
    """Largest difference of logits between the model that was trained and the merged one, read again from disk."""
    trained = adapter(base, folder / "adapter", **options)
    (folder / "merged").mkdir()
    streamed_merge.plan(base, trained, method=Method.LORA, machine=MACHINE).write(folder / "merged")
    ids = [list(range(5, 60))]
    before = models.logits(models.attach(models.load(base, Method.LORA, MACHINE), trained, trainable=False), ids)[0]
    after = models.logits(models.load_saved(folder / "merged", MACHINE), ids)[0]
    return float((before - after).abs().max())


def peak(root: Path) -> dict[str, float]:
    """MiB: the model, its largest tensor and weight file, and how much the process grew while it merged."""
    base, trained = root / "large", root / "large-adapter"
    if not base.exists():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=8192,
            hidden_size=768,
            intermediate_size=2048,
            num_hidden_layers=12,
            num_attention_heads=12,
            num_key_value_heads=4,
        )
        LlamaForCausalLM(config).save_pretrained(base, max_shard_size="40MB")
        adapter(base, trained, r=8)
        return {}
    planned = streamed_merge.plan(base, trained, method=Method.LORA, machine=MACHINE)
    (root / "large-merged").mkdir()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    planned.write(root / "large-merged")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = [path.stat().st_size for path in base.glob("*.safetensors")]
    sources = [plan.source for plans in planned.shards.values() for plan in plans]
    return {
        "model": sum(files) / MIB,
        "shard": max(files) / MIB,
        "tensor": max(each.end - each.start for each in sources) / MIB,
        "grown": (after - before) / 1024,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    root = Path(sys.argv[2])
    root.mkdir(parents=True, exist_ok=True)
    print(json.dumps({"equal": equal, "peak": peak}[sys.argv[1]](root)))
