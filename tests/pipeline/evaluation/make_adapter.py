"""An adapter of a few steps on a real model, and its merge: `make_adapter.py BASE FOLDER SEED METHOD STEPS ROWS`.

Trained and merged as the training service does on a CPU: LORA over fp32 weights, QLORA over NF4, merged into what
training saw. ROWS is a file of JSON lines with `question` and `answer`. Beside the merge lie merges with a defect each,
for seed 0: scaled by 1.02, one layer skipped, of the adapter as it was at half of the steps, with another template,
without an end of turn, and for QLORA into the original weights.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from posology.core.weights import NF4

LENGTH, RATE = 64, 1e-3


def load(base: Path, method: str) -> Any:
    """The base as `method` trains it."""
    if method != "QLORA":
        return AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        str(base), dtype=torch.bfloat16, quantization_config=BitsAndBytesConfig(**NF4), device_map={"": "cpu"}
    )
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False
    return model


def train(model: Any, rows: list[list[int]], steps: range) -> None:
    """One row a step."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    for step in steps:
        ids = torch.tensor([rows[step % len(rows)]])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def main(base: Path, folder: Path, seed: int, method: str, steps: int, rows: Path) -> None:
    """Writes adapter/ and merged/ below `folder`."""
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()[seed * steps :][:steps]]
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": line["question"]}, {"role": "assistant", "content": line["answer"]}],
            tokenize=True,
            return_dict=False,
        )[:LENGTH]
        for line in lines
    ]
    torch.manual_seed(seed)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(load(base, method), lora)
    train(model, texts, range(steps // 2))
    model.save_pretrained(str(folder / "early"))
    train(model, texts, range(steps // 2, steps))
    adapter = folder / "adapter"
    model.save_pretrained(str(adapter))
    dtype = "bfloat16" if method == "QLORA" else "float32"
    (adapter / "training.json").write_text(json.dumps({"method": method, "dtype": dtype}))
    merge(base, adapter, whole(base, method), folder / "merged")
    if seed == 0:
        plant(base, folder, method)


def whole(base: Path, method: str) -> Any:
    """The weights that the adapter belongs to."""
    model = load(base, method)
    if method == "QLORA":
        model = model.dequantize()
        for holder in (model.config, model):
            if hasattr(holder, "quantization_config"):
                del holder.quantization_config
    return model


def merge(base: Path, adapter: Path, weights: Any, folder: Path) -> None:
    """Write the merge with all that stands beside a base's weights."""
    merged = PeftModel.from_pretrained(weights, str(adapter), autocast_adapter_dtype=False).merge_and_unload()
    merged.save_pretrained(str(folder))
    for path in base.iterdir():
        if "token" in path.name or path.name in ("chat_template.jinja", "generation_config.json"):
            shutil.copy(path, folder / path.name)


def plant(base: Path, folder: Path, method: str) -> None:
    """The defects, each in a folder named by it."""
    merge(base, folder / "early", whole(base, method), folder / "stale")
    if method == "QLORA":
        merge(base, folder / "adapter", AutoModelForCausalLM.from_pretrained(str(base)), folder / "original")
    original = whole(base, method).state_dict()

    def copied(name: str) -> tuple[Path, dict[str, torch.Tensor]]:
        shutil.copytree(folder / "merged", folder / name)
        return folder / name, load_file(str(folder / name / "model.safetensors"))

    scaled, tensors = copied("scaled")
    for name, tensor in tensors.items():
        before = original[name].float()
        tensors[name] = (before + 1.02 * (tensor.float() - before)).to(tensor.dtype)
    save_file(tensors, str(scaled / "model.safetensors"), metadata={"format": "pt"})
    skipped, tensors = copied("skipped")
    for name in tensors:
        if ".layers.3." in name:
            tensors[name] = original[name].clone().to(tensors[name].dtype)
    save_file(tensors, str(skipped / "model.safetensors"), metadata={"format": "pt"})
    template = (base / "chat_template.jinja").read_text()
    (copied("template")[0] / "chat_template.jinja").write_text(template.replace("'model'", "'assistant'"))
    (copied("end-of-turn")[0] / "chat_template.jinja").write_text(template.replace("<end_of_turn>", ""))


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), Path(words[1]), int(words[2]), words[3], int(words[4]), Path(words[5]))
