"""Run by the worker python: `parity_checks.py FOLDER` plants defects in tiny candidates; a line of JSON for each.
With a number behind FOLDER it makes so many healthy ones of either method instead.

The tiny base knows a language (each token has a likely successor), so that its first choices are clear ones, as those
of a pretrained model are. The engine's place is taken by the same weights through another attention kernel.
"""

import functools
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from posology.core.weights import NF4
from posology.evaluation.domain import Evidence, ExactCheck, Outcome, ParityLimits, Policy, overall
from posology.evaluation.gates.parity import parity as parity_gate
from posology.evaluation.gates.registry import GateContext
from posology.evaluation.worker import identity, parity
from posology.evaluation.worker.parity_inputs import Forced, Trained, stored_dtype
from posology.evaluation.worker.tokens import Template

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from pipeline.engine import make_tiny_model

LENGTH, PROMPTS, KINDS = 49, 16, 64


def language(seed: int, rows: int, *, generator: int = 0) -> torch.Tensor:
    """[rows, LENGTH] tokens: each is followed by its successor under a permutation of `seed`, nine times in ten."""
    successor = torch.randperm(KINDS, generator=torch.Generator().manual_seed(seed))
    draws = torch.Generator().manual_seed(generator)
    token = torch.randint(6, KINDS, (rows,), generator=draws)
    columns = [token]
    for _ in range(LENGTH - 1):
        random = torch.randint(6, KINDS, (rows,), generator=draws)
        token = torch.where(torch.rand(rows, generator=draws) < 0.9, successor[token], random)
        columns.append(token)
    return torch.stack(columns, 1)


def train(model: Any, *, seed: int, steps: int, rate: float) -> None:
    """A few steps of AdamW on a language."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    for step in range(steps):
        ids = language(seed, 8, generator=step)
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def write_base(folder: Path, *, teach: bool, dtype: torch.dtype, source: Path | None = None) -> Path:
    """A base model; without `teach` its weights are random and its first choices no better than a draw."""
    model = AutoModelForCausalLM.from_pretrained(str(source)) if source else make_tiny_model.model()
    if teach:
        train(model, seed=1, steps=120, rate=3e-3)
    model.to(dtype).save_pretrained(str(folder))
    make_tiny_model.tokenizer().save_pretrained(str(folder))
    return folder


@dataclass(frozen=True)
class Made:
    """A candidate: what it was trained on, and its merged folder."""

    trained: Trained
    merged: Path
    adapter: str = "sha256:a"


def quantized(base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        str(base), dtype=torch.bfloat16, quantization_config=BitsAndBytesConfig(**NF4), device_map={"": "cpu"}
    )


def tune(root: Path, base: Path, *, method: str, dtype: str, seed: int) -> Made:
    """An adapter of 20 steps on another language, and its merge as the training service makes it."""
    torch.manual_seed(seed)
    precision = getattr(torch, dtype)
    below = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    model = get_peft_model(below, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    train(model, seed=2, steps=20, rate=5e-4)
    adapter, merged = root / f"{method}-{dtype}-{seed}-adapter", root / f"{method}-{dtype}-{seed}"
    model.save_pretrained(str(adapter))
    if method == "QLORA":
        whole = quantized(base).dequantize()
        for holder in (whole.config, whole):
            if hasattr(holder, "quantization_config"):
                del holder.quantization_config
    else:
        whole = AutoModelForCausalLM.from_pretrained(str(base), dtype=precision)
    write_merge(PeftModel.from_pretrained(whole, str(adapter), autocast_adapter_dtype=False), merged, base)
    return Made(Trained(adapter, base, method, dtype), merged)


def write_merge(model: Any, folder: Path, base: Path) -> None:
    model.merge_and_unload().save_pretrained(str(folder))
    for path in base.iterdir():
        if "token" in path.name or path.suffix == ".jinja":
            shutil.copy(path, folder / path.name)
    (folder / "merge.json").write_text(json.dumps({"adapter": "sha256:a"}))


def gates(made: Made) -> dict[str, Any]:
    """Outcome by metric, and the verdict over all."""
    base, dtype = made.trained.base, stored_dtype(made.merged)
    sequences = [Forced(tuple(row.tolist()), LENGTH - 1) for row in language(1, PROMPTS, generator=99)]
    control = control_of(base, dtype, made)
    steps, proof = parity.chain(made.merged, served(parity.load(made.merged, dtype), sequences), made.trained, control)
    exact = identity.checks(
        base,
        made.merged,
        templates=(template_of(base), Template(made.merged)),
        prompts=["What is the dose?"],
        adapter=made.adapter,
    )
    return judge(steps, proof, list(exact))


@functools.cache
def template_of(base: Path) -> Template:
    return Template(base)


_controls: dict[tuple[Path, str], Any] = {}


def control_of(base: Path, dtype: str, made: Made) -> Any:
    """A base's control, kept as an installation keeps it."""
    if (base, dtype) not in _controls:
        sequences = [Forced(tuple(row.tolist()), LENGTH - 1) for row in language(1, PROMPTS, generator=99)]
        engine = served(parity.load(base, dtype), sequences)
        _controls[base, dtype] = parity.controls(base, engine, made.trained, made.merged)
    return _controls[base, dtype]


def served(model: Any, sequences: list[Forced]) -> Any:
    """An engine's word: the same weights through another kernel, in bfloat16 unless they are stored finer."""
    model.set_attn_implementation("eager")
    return parity.record(model, sequences)


def judge(steps: Any, proof: Any, exact: list[ExactCheck]) -> dict[str, Any]:
    policy = Policy((), (), parity=ParityLimits(prompts=PROMPTS))
    results = list(parity_gate(GateContext(None, policy, Evidence(parity=steps, merge=proof, exact=exact))))
    failed = {r.metric: r.explanation for r in results if r.outcome is not Outcome.PASS}
    return {"verdict": overall([r.outcome for r in results]).value, "failed": failed}


def edit(made: Made, folder: Path, change: Callable[[dict[str, torch.Tensor], Path], None]) -> Made:
    """A copy of a candidate with its stored weights or its folder changed."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(made.merged, folder)
    tensors = load_file(str(folder / "model.safetensors"))
    change(tensors, folder)
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    return replace(made, merged=folder)


def merged_into_original(made: Made, folder: Path) -> Made:
    """QLORA's usual mistake: the adapter added to weights that training never saw."""
    whole = AutoModelForCausalLM.from_pretrained(str(made.trained.base), dtype=torch.bfloat16)
    adapted = PeftModel.from_pretrained(whole, str(made.trained.adapter), autocast_adapter_dtype=False)
    write_merge(adapted, folder, made.trained.base)
    return replace(made, merged=folder)


def with_other_scale(made: Made, folder: Path, factor: float) -> Made:
    """The adapter's update times `factor`."""
    adapter = folder.with_name(f"{folder.name}-adapter")
    shutil.copytree(made.trained.adapter, adapter)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    settings["lora_alpha"] *= factor
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    return merged_from(made, folder, adapter)


def merged_from(made: Made, folder: Path, adapter: Path) -> Made:
    """The candidate merged from another adapter than the one it is said to come from."""
    if made.trained.method == "QLORA":
        whole = quantized(made.trained.base).dequantize()
        for holder in (whole.config, whole):
            if hasattr(holder, "quantization_config"):
                del holder.quantization_config
    else:
        whole = AutoModelForCausalLM.from_pretrained(str(made.trained.base), dtype=getattr(torch, made.trained.dtype))
    adapted = PeftModel.from_pretrained(whole, str(adapter), autocast_adapter_dtype=False)
    write_merge(adapted, folder, made.trained.base)
    return replace(made, merged=folder)


def skip(layer: str, base: Path) -> Callable[[dict[str, torch.Tensor], Path], None]:
    """Stored tensors of `layer` as the base has them."""

    def change(tensors: dict[str, torch.Tensor], _: Path) -> None:
        original = AutoModelForCausalLM.from_pretrained(str(base)).state_dict()
        for name in tensors:
            if layer in name:
                tensors[name] = original[name].to(tensors[name].dtype).clone()

    return change


def nudge(name: str) -> Callable[[dict[str, torch.Tensor], Path], None]:
    """A tensor that no adapter touches, one per cent larger."""

    def change(tensors: dict[str, torch.Tensor], _: Path) -> None:
        tensors[name] = tensors[name] * 1.01

    return change


def other_template(_: dict[str, torch.Tensor], folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("<|user|>", "<|system|>").replace("{{ m.content }}", "{{ m.content }} "))


def no_end_of_turn(_: dict[str, torch.Tensor], folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("<|end|>", ""))


def stops_elsewhere(_: dict[str, torch.Tensor], folder: Path) -> None:
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": 5}))


def other_rope(_: dict[str, torch.Tensor], folder: Path) -> None:
    """The merged model's config says that positions turn ten times faster."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["rope_parameters"] = {**config.get("rope_parameters", {}), "rope_theta": 1000.0}
    path.write_text(json.dumps(config))


def main(root: Path) -> None:
    torch.set_num_threads(1)
    taught = write_base(root / "base", teach=True, dtype=torch.float32)
    halved = write_base(root / "base-bfloat16", teach=False, dtype=torch.bfloat16, source=taught)
    random = write_base(root / "base-random", teach=False, dtype=torch.bfloat16)
    for name, base, method, dtype, seed in (
        ("LORA float32", taught, "LORA", "float32", 0),
        ("LORA bfloat16", halved, "LORA", "bfloat16", 0),
        ("QLORA", halved, "QLORA", "bfloat16", 0),
        ("QLORA random", random, "QLORA", "bfloat16", 0),
    ):
        made = tune(root / name, base, method=method, dtype=dtype, seed=seed)
        tell(f"healthy, {name}", made)
        if name in ("LORA bfloat16", "QLORA"):
            plant(root, made, name)


def tell(name: str, made: Made) -> None:
    print(json.dumps({"case": name, **gates(made), "seconds": round(time.process_time(), 1)}), flush=True)


def plant(root: Path, made: Made, name: str) -> None:
    """Every defect in a copy of its own: those of weights for either method, the others, which are alike, for one."""
    quantised = made.trained.method == "QLORA"
    edits: dict[str, Callable[[dict[str, torch.Tensor], Path], None]] = {
        "layer skipped": skip("layers.2.", made.trained.base)
    }
    if quantised:
        edits |= {
            "norm changed": nudge("model.norm.weight"),
            "other template": other_template,
            "end of turn dropped": no_end_of_turn,
            "stops elsewhere": stops_elsewhere,
            "other rope": other_rope,
        }
    else:
        edits["projection skipped"] = skip("layers.1.mlp.down_proj", made.trained.base)
    for defect, change in edits.items():
        tell(f"{defect}, {name}", edit(made, root / f"{name} {defect}", change))
    factor = 0.98 if quantised else 1.02
    tell(f"scale {factor}, {name}", with_other_scale(made, root / f"{name} {factor}", factor))
    stale = tune(root / "stale", made.trained.base, method=made.trained.method, dtype=made.trained.dtype, seed=9)
    tell(f"stale adapter, {name}", merged_from(made, root / f"{name} stale", stale.trained.adapter))
    if quantised:
        tell(f"adapter of another digest, {name}", replace(made, adapter="sha256:b"))
        tell(f"merged into original, {name}", merged_into_original(made, root / f"{name} original"))


def healthy_seeds(root: Path, count: int) -> None:
    """As many healthy candidates of either method, each with a seed of its own."""
    torch.set_num_threads(1)
    taught = write_base(root / "base", teach=True, dtype=torch.float32)
    halved = write_base(root / "base-bfloat16", teach=False, dtype=torch.bfloat16, source=taught)
    for seed in range(count):
        for method in ("LORA", "QLORA"):
            made = tune(root / f"{method}-{seed}", halved, method=method, dtype="bfloat16", seed=seed)
            tell(f"{method} {seed}", made)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        healthy_seeds(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
