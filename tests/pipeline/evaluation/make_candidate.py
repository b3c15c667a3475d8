"""A random base, a LoRA adapter that changes it, and their merge: `python make_candidate.py FOLDER`."""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from pipeline.engine import make_tiny_model


def main(folder: Path) -> None:
    """Writes base/, adapter/ and merged/."""
    base, adapter, merged = folder / "base", folder / "adapter", folder / "merged"
    for path in (base, merged):
        make_tiny_model.tokenizer().save_pretrained(str(path))
    make_tiny_model.model().save_pretrained(str(base))
    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(str(base)),
        LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    model.save_pretrained(str(adapter))
    (adapter / "training.json").write_text(json.dumps({"method": "LORA"}))
    model.merge_and_unload().save_pretrained(str(merged))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
