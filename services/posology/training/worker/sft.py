"""Supervised fine-tuning: read it from top to bottom."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import set_seed
from trl import SFTConfig, SFTTrainer

from posology.core.errors import Internal, InvalidInput
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.training.domain import Method, SftTask
from posology.training.planning import batches, curves, packing, shapes
from posology.training.worker import (
    data,
    distributed,
    hardware,
    joined_rows,
    labels,
    loop,
    models,
    probes,
    row_checks,
    saving,
    tokens,
)
from posology.training.worker.callbacks import Report
from posology.training.worker.trainers import RecipeTrainer


def train(ctx: JobContext, task: SftTask) -> Result:
    """Train `task.recipe` on the pairs of a data set; the artifact is an adapter, or a model for FULL."""
    recipe, steps = task.recipe, task.recipe.optimisation
    machine = hardware.detect()
    base, dataset = ctx.input(task.base_model), ctx.input(task.dataset)

    # Everything that a user can have got wrong is checked before weights are loaded.
    train, validation = data.pairs(dataset)
    mixture = data.mixture(train, ctx.input(task.general) if task.general else None, task.general_share)
    rows = [place.row for place in mixture.rows]
    tokenizer = tokens.open_tokenizer(base)
    stops = tokens.stop_ids(tokenizer, base)
    placed = [*row_checks.placed_in(mixture), *row_checks.placed(validation, "validation.jsonl")]
    every = recipe.every_answer
    examined = row_checks.examine(tokenizer, stops, placed, max_length=steps.max_length, every_answer=every)
    row_checks.refuse(examined, **row_checks.FIELDS)
    if contradictions := tuple(recipe.contradictions()):
        raise InvalidInput.of(contradictions)
    train_set, validation_set = (labels.labelled(tokenizer, each, every=every) for each in (rows, validation))
    masked = labels.check(train_set, rows, tokenizer, stops, every=every)
    count = packing.packs(examined.lengths[: len(rows)], steps.max_length) if steps.packing else len(rows)
    longest = steps.max_length if steps.packing else examined.longest
    shape = model_shape(base)
    ctx.log(
        "data read",
        pairs=len(rows),
        general=mixture.general,
        validation=len(validation),
        longest=examined.longest,
        rows=count,
    )
    ctx.log("loss falls on answers and their end of turn only", **masked)

    batch = batches.fit(
        shape,
        method=recipe.method,
        lora=recipe.lora,
        batch_size=distributed.share(steps.batch_size),
        micro=packing.micro(steps),
        max_length=longest,
        device_memory=machine.memory,
        bf16=machine.autocast,
        optim=steps.optim,
    )
    loop.check_disk(ctx.workdir, batch.memory, whole=recipe.method is Method.FULL)
    set_seed(steps.seed)
    model = models.load(base, recipe.method, machine)
    report = Report(ctx)
    trainer = RecipeTrainer(
        model=model,
        args=SFTConfig(
            **loop.arguments(ctx.workdir, steps, batch, machine, rows=count),
            packing=steps.packing,
            eval_packing=False,
            train_sampling_strategy=steps.sampling,
            neftune_noise_alpha=steps.neftune_noise_alpha or None,
        ),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=tokenizer,
        # TRL seeds again right before it creates the adapter: equal seeds give equal adapters.
        peft_config=None if recipe.method is Method.FULL else models.lora_config(recipe.lora),
        callbacks=[report, *loop.early_stopping(steps)],
    )
    trainer.loraplus_lr_ratio = recipe.lora.loraplus_lr_ratio
    check_rows(trainer, examined.lengths[: len(rows)], count)
    if steps.packing:
        ctx.log("joined rows do not see each other", **joined_rows.check(trainer))

    loop.run(ctx, trainer, report, task)
    if not distributed.leads():
        return loop.FOLLOWED

    trained = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(trained, PeftModel):
        saving.adapter(trained, ctx.output, base=task.base_model)
        kind, trainable = "adapter", shapes.lora_parameters(shape, recipe.lora)
    else:
        saving.whole_model(trained, ctx.output, base=base)
        kind, trainable = "model", shape.parameters
    probes.write(ctx.output, validation)
    return finish(ctx, task, trainer, report, kind=kind, trainable=trainable, machine=machine, masked=masked)


def check_rows(trainer: SFTTrainer, lengths: Sequence[int], count: int) -> None:
    """The trainer must hold every row whole: it cuts and drops without a word."""
    held = trainer.train_dataset
    size = sum(len(ids) for ids in held["input_ids"])
    if (len(held), size) != (count, sum(lengths)):
        raise Internal(
            f"the trainer holds {len(held)} rows of {size} tokens in all, and {count} of {sum(lengths)} were planned; "
            "nothing was trained"
        )


def model_shape(folder: Path) -> shapes.ModelShape:
    """From the headers of the weight files, so that every architecture is known."""
    config = json.loads((folder / "config.json").read_text())
    return shapes.from_headers(config, shapes.read_headers(folder))


def finish(
    ctx: JobContext,
    task: SftTask,
    trainer: Any,
    report: Report,
    *,
    kind: str,
    trainable: int,
    machine: hardware.Hardware,
    masked: dict[str, int],
) -> Result:
    """Write the record and say what came out."""
    history = loop.history(trainer)
    findings = curves.findings(history["train"], history["evaluations"])
    method = task.recipe.method
    recorded = {
        "task": "sft",
        "base": task.base_model,
        "method": method.value,
        "dtype": str(machine.dtype(method)).removeprefix("torch."),
        "recipe": dataclasses.asdict(task.recipe),
        "loss_mask": masked,
        "curves": history,
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }
    saving.record(ctx.output, recorded)
    evaluations, best = history["evaluations"], trainer.state.best_metric
    steps = task.recipe.optimisation
    return Result(
        kind=kind,
        parents=task.parents,
        parameters=task.parameters,
        summary={
            "method": method.value,
            "trainable_parameters": trainable,
            "steps": trainer.state.global_step,
            "train_loss": history["train"][-1]["loss"],
            "eval_loss": best if steps.best and best is not None else evaluations[-1]["eval_loss"],
            "tokens_per_second": round(report.tokens / report.busy, 1) if report.busy else 0.0,
            "device": machine.name,
            "findings": [f"step {finding.step}: {finding.message} {finding.advice}" for finding in findings],
        },
    )
