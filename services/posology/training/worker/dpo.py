"""Preference optimisation against the SFT model: read it from top to bottom."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import PeftModel
from transformers import set_seed
from trl import DPOConfig, DPOTrainer

from posology.core.errors import Internal
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.training.domain import DpoTask, Lora, Method
from posology.training.planning import batches, curves
from posology.training.worker import data, distributed, hardware, loop, models, probes, row_checks, saving, tokens
from posology.training.worker.callbacks import Report
from posology.training.worker.sft import model_shape

CHECKED_PAIRS = 8
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Largest difference per token between two log-probabilities of one model, by precision: batching and padding
change the order of sums."""


def train(ctx: JobContext, task: DpoTask) -> Result:
    """Optimise preferences; the artifact is the continued SFT adapter, or a fresh one on a wholly trained model."""
    recipe, steps = task.recipe, task.recipe.optimisation
    machine = hardware.detect()
    sft = ctx.input(task.sft)
    continued = (sft / "adapter_config.json").exists()
    earlier = saving.read_record(sft)
    below = str(earlier.get("base") or task.base_model) if continued else task.sft
    base = ctx.input(below) if continued else sft
    method = Method(earlier.get("method", "LORA")) if continued else Method.LORA
    lora = lora_of(earlier) if continued else recipe.lora

    rows, held_out = data.preferences(ctx.input(task.preferences), held_out=recipe.held_out)
    tokenizer = tokens.open_tokenizer(base)
    stops = tokens.stop_ids(tokenizer, base)
    both = row_checks.placed(data.answers([*rows, *held_out]), "answer")
    examined = row_checks.examine(tokenizer, stops, both, max_length=steps.max_length)
    row_checks.refuse(examined, **{**row_checks.FIELDS, row_checks.LENGTH: "spec.training.dpo.maxLength"})
    longest = examined.longest
    ctx.log("data read", pairs=len(rows), held_out=len(held_out), longest=longest)

    batch = batches.fit(
        model_shape(base),
        method=method,
        lora=lora,
        batch_size=distributed.share(steps.batch_size),
        micro=steps.micro_batch_size,
        max_length=longest,
        device_memory=machine.memory,
        bf16=machine.autocast,
        sequences_per_row=2,
        optim=steps.optim,
    )
    loop.check_disk(ctx.workdir, batch.memory, whole=False)
    set_seed(steps.seed)
    model: Any = models.load(base, method, machine)
    if continued:
        model = models.attach(model, sft, trainable=True)
        # What the SFT model itself says, before any trainer touches it: the reference must say the same.
    expected = log_probabilities(model, tokenizer, rows[:CHECKED_PAIRS])

    report = Report(ctx)
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(
            **loop.arguments(ctx.workdir, steps, batch, machine, rows=len(rows), evaluated=bool(held_out)),
            beta=recipe.beta,
            loss_type=[recipe.loss_type],
            label_smoothing=recipe.label_smoothing,
        ),
        train_dataset=data.as_preferences(rows),
        eval_dataset=data.as_preferences(held_out) if held_out else None,
        processing_class=tokenizer,
        peft_config=None if continued else models.lora_config(recipe.lora),
        callbacks=[report, *loop.early_stopping(steps)],
    )
    check_reference(trainer, expected)
    ctx.log("the reference is the SFT model", pairs=len(expected) // 2)

    loop.run(ctx, trainer, report, task)
    if not distributed.leads():
        return loop.FOLLOWED

    trained = trainer.accelerator.unwrap_model(trainer.model)
    assert isinstance(trained, PeftModel)
    saving.adapter(trained, ctx.output, base=below)
    probes.write(ctx.output, [{"prompt": row["prompt"], "completion": row["chosen"]} for row in held_out or rows])
    return finish(ctx, task, trainer, report, below=below, method=method, machine=machine)


def lora_of(record: Mapping[str, Any]) -> Lora:
    """The shape of the adapter that SFT trained, from its record; the default's where it says none."""
    saved = record.get("recipe", {}).get("lora", {})
    known = {field.name for field in dataclasses.fields(Lora)}
    values = {name: value for name, value in saved.items() if name in known}
    return Lora(**{**values, "target_modules": tuple(values.get("target_modules", Lora.target_modules))})


def log_probabilities(model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """(log-probability, tokens) of each chosen, then each rejected answer; computed without any trainer."""
    scored = []
    for side in ("chosen", "rejected"):
        for row in rows:
            whole = tokens.conversation_ids(tokenizer, {"prompt": row["prompt"], "completion": row[side]})
            start = len(tokens.prompt_ids(tokenizer, row["prompt"]))
            scores = torch.log_softmax(models.logits(model, [whole])[0][:-1], dim=-1)
            picked = scores.gather(1, torch.tensor(whole[1:]).unsqueeze(1)).squeeze(1)
            scored.append((float(picked[start - 1 :].sum()), len(whole) - start))
    return scored


def check_reference(trainer: DPOTrainer, expected: Sequence[tuple[float, int]]) -> None:
    """The trainer's reference must give the SFT model's log-probabilities; ln 2 at the first step proves nothing."""
    count = len(expected) // 2
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    batch = trainer.data_collator([{key: trainer.train_dataset[i][key] for key in columns} for i in range(count)])
    device = trainer.accelerator.device
    inputs = {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}
    reference = trainer.ref_model or trainer.model
    reference.to(device)
    with torch.no_grad():
        chosen, rejected = trainer.compute_ref_log_probs(reference, inputs)
    values = [*chosen.float().tolist(), *rejected.float().tolist()]
    tolerance = TOLERANCE.get(next(reference.parameters()).dtype, 0.1)
    for value, (reference_value, length) in zip(values, expected, strict=True):
        if abs(value - reference_value) > tolerance * max(1, length):
            raise Internal(
                f"the DPO reference is not the SFT model: log-probability {value:.3f} where the SFT model says "
                f"{reference_value:.3f}; nothing was trained"
            )


def finish(
    ctx: JobContext,
    task: DpoTask,
    trainer: Any,
    report: Report,
    *,
    below: str,
    method: Method,
    machine: hardware.Hardware,
) -> Result:
    """Write the record and say what came out; the margin alone misleads, so held-out accuracy stands first."""
    history = loop.history(trainer)
    findings = curves.findings(history["train"], history["evaluations"])
    best = trainer.state.best_metric
    # Empty where none was held out.
    kept: Mapping[str, float] = next((each for each in history["evaluations"] if each["eval_loss"] == best), {})
    if not task.recipe.optimisation.best:
        kept = history["evaluations"][-1] if history["evaluations"] else {}
    saving.record(
        ctx.output,
        {
            "task": "dpo",
            "base": below,
            "sft": task.sft,
            "method": method.value,
            "dtype": str(machine.dtype(method)).removeprefix("torch."),
            "recipe": dataclasses.asdict(task.recipe),
            "curves": history,
            "findings": [dataclasses.asdict(finding) for finding in findings],
        },
    )
    return Result(
        kind="adapter",
        parents=tuple(dict.fromkeys((below, task.sft, task.preferences))),
        parameters={"task": "dpo", "recipe": dataclasses.asdict(task.recipe)},
        summary={
            "method": method.value,
            "steps": trainer.state.global_step,
            "train_loss": history["train"][-1]["loss"],
            **({"eval_loss": kept["eval_loss"]} if kept else {}),
            **({"preference_accuracy": kept.get("eval_rewards/accuracies", 0.0)} if kept else {}),
            "tokens_per_second": round(report.tokens / report.busy, 1) if report.busy else 0.0,
            "device": machine.name,
            "findings": [f"step {finding.step}: {finding.message} {finding.advice}" for finding in findings],
        },
    )
