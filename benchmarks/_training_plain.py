"""Run by the worker python: what one writes after reading TRL's documentation. Prints tokens, seconds of the loop."""

import json
import sys

from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

case = json.loads(sys.argv[1])
data = load_dataset("json", data_files=case["data"], split="train").select_columns(["prompt", "completion"])
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(case["model"]),
    processing_class=AutoTokenizer.from_pretrained(case["model"]),
    train_dataset=data,
    args=SFTConfig(
        output_dir=case["output"],
        per_device_train_batch_size=case["batch_size"],
        max_steps=case["steps"],
        max_length=case["max_length"],
        learning_rate=case["learning_rate"],
        lr_scheduler_type="cosine",
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        **case["options"],
    ),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
trainer.train()
seconds = next(entry["train_runtime"] for entry in trainer.state.log_history if "train_runtime" in entry)
tokens = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry][-1]
print("RESULT", json.dumps({"tokens": tokens, "seconds": seconds}))
