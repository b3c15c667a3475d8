"""Run by the worker python: SFT by our handler or by a plain TRL script; prints rate, peak and the plan's figure."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from _handler_context import Context

CASE: dict[str, Any] = json.loads(sys.argv[1])
GIB = 2**30
spent: dict[str, float] = {}


def timed() -> None:
    """Seconds of all of train() go to `spent`, for both ways alike."""
    train = transformers.Trainer.train

    def measured(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return train(trainer, *args, **kwargs)
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent["seconds"] = time.perf_counter() - started
            spent["tokens"] = max(entry.get("num_tokens", 0.0) for entry in trainer.state.log_history)

    transformers.Trainer.train = measured


def peak() -> float:
    """GiB at most: of the GPU's memory where there is one, else of this process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def posology() -> dict[str, Any]:
    from posology.training.domain import ADAMW, Lora, Method, Optimisation, Sft, SftTask
    from posology.training.planning import batches
    from posology.training.worker import hardware, sft

    steps = Optimisation(
        max_steps=CASE["steps"],
        batch_size=CASE["batch_size"],
        max_length=CASE["max_length"],
        checkpoint_steps=CASE["steps"],
        optim=CASE.get("optim", ADAMW),
        packing=CASE.get("packing", False),
    )
    lora = Lora(**{"dropout": 0.0, "target_modules": ("all-linear",), **CASE.get("lora", {})})
    recipe = Sft(Method(CASE.get("method", "QLORA")), lora, steps)
    cut: list[batches.Batches] = []
    fit = batches.fit

    def recorded(*args: Any, **kwargs: Any) -> batches.Batches:
        cut.append(fit(*args, **kwargs))
        return cut[-1]

    batches.fit = recorded
    inputs = {"model": Path(CASE["model"]), "data": Path(CASE["data"]).parent}
    result = sft.train(Context(inputs, Path(CASE["output"])), SftTask("model", "data", recipe))  # type: ignore[arg-type]
    shape = sft.model_shape(Path(CASE["model"]))
    return {
        "in_steps": result.summary["tokens_per_second"],
        "planned_gib": cut[0].memory.total / GIB,
        "micro": cut[0].micro,
        "parameters": shape.parameters,
        "device": hardware.detect().name,
    }


def trl() -> dict[str, Any]:
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    gpu = torch.cuda.is_available()
    data = load_dataset("json", data_files=CASE["data"], split="train").select_columns(["prompt", "completion"])
    quantised = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            CASE["model"], quantization_config=quantised, dtype=torch.bfloat16, device_map={"": 0 if gpu else "cpu"}
        ),
        processing_class=AutoTokenizer.from_pretrained(CASE["model"]),
        train_dataset=data,
        args=SFTConfig(
            output_dir=CASE["output"],
            per_device_train_batch_size=CASE["batch_size"],
            max_steps=CASE["steps"],
            max_length=CASE["max_length"],
            learning_rate=2e-4,
            bf16=gpu,
            use_cpu=not gpu,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
        ),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()
    return {}


timed()
found = {"posology": posology, "trl": trl}[CASE["way"]]()
rows = CASE["steps"] * CASE["batch_size"]  # with packing each of them is several
measured = {
    "rate": spent["tokens"] / spent["seconds"],
    "seconds": spent["seconds"],
    "peak_gib": peak(),
    "mean": spent["tokens"] / rows,
}
print("RESULT", json.dumps({**found, **measured}))
