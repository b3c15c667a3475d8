"""The part that SFT and DPO share: arguments, resuming, stopping."""

import dataclasses
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, PrinterCallback, Trainer

from posology.core.errors import Exhausted, InvalidInput
from posology.core.jobs.worker.runtime import JobContext, Result, Stopped
from posology.training.domain import DpoTask, Optimisation, Schedule, SftTask
from posology.training.planning.batches import Batches
from posology.training.planning.memory import Memory
from posology.training.worker import checkpoints, distributed, tracking
from posology.training.worker.callbacks import Report
from posology.training.worker.hardware import Hardware

SCHEDULES = {Schedule.COSINE: "cosine", Schedule.LINEAR: "linear", Schedule.CONSTANT: "constant_with_warmup"}


def arguments(
    workdir: Path, recipe: Optimisation, batches: Batches, hardware: Hardware, *, rows: int, evaluated: bool = True
) -> dict[str, Any]:
    """Settings of transformers' trainer that make a run streamable, resumable and repeatable.

    The checkpoint with the best validation loss is what is kept, unless the recipe wants the last one; without rows
    to evaluate on (`evaluated` False) it is the last one, too.
    """
    steps = recipe.steps(rows)
    every = min(recipe.checkpoint_steps, steps)
    return {
        "output_dir": str(workdir),
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps or -1,
        "per_device_train_batch_size": batches.micro,
        "per_device_eval_batch_size": batches.micro,
        "gradient_accumulation_steps": batches.accumulation,
        "gradient_checkpointing": batches.checkpoint_activations,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": SCHEDULES[recipe.schedule],
        "warmup_steps": math.ceil(steps * recipe.warmup),
        "weight_decay": recipe.weight_decay,
        "max_length": recipe.max_length,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "optim": recipe.optim,
        "bf16": hardware.autocast,
        "use_cpu": not hardware.gpu,
        "dataloader_pin_memory": hardware.gpu,
        "ddp_find_unused_parameters": False,  # every adapter is on the way from input to loss
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # the default hides a NaN loss behind the mean of the others
        "eval_strategy": "steps" if evaluated else "no",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 3,  # the best, the last, and one to fall back to
        "load_best_model_at_end": evaluated and recipe.best,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,  # or a resumed run forgets its patience
        "report_to": "none",
        "disable_tqdm": True,
    }


def check_disk(workdir: Path, memory: Memory, *, whole: bool) -> None:
    """Exhausted unless the checkpoints (weights and two moments, four at the same time) and the result fit."""
    weights = memory.weights if whole else memory.adapter
    needed = 4 * (weights + memory.optimizer) + weights
    free = shutil.disk_usage(workdir).free
    if needed > free:
        raise Exhausted(
            f"checkpoints and result need up to {needed / 2**30:.1f} GiB and the disk of {workdir} has "
            f"{free / 2**30:.1f} free; free some and start the job again"
        )


def early_stopping(recipe: Optimisation) -> list[EarlyStoppingCallback]:
    """Nothing when patience is 0."""
    return [EarlyStoppingCallback(recipe.patience)] if recipe.patience > 0 else []


def run(ctx: JobContext, trainer: Trainer, report: Report, task: SftTask | DpoTask) -> None:
    """Train to the end from the newest intact checkpoint; on SIGTERM leave a checkpoint and raise Stopped."""
    trainer.remove_callback(PrinterCallback)  # its lines are in the metrics
    with distributed.noticing_loss():
        if not distributed.leads():
            return _run(ctx, trainer, report)
        with tracking.tracked(ctx, lambda: about(ctx, task)) as report.tracker:
            _run(ctx, trainer, report)


def about(ctx: JobContext, task: SftTask | DpoTask) -> tracking.About:
    """A training as trackers show it: the recipe as it was given, what it stands on by digest, whose it is."""
    match task:
        case SftTask():
            kind, inputs = "sft", {"base_model": task.base_model, "dataset": task.dataset, "general": task.general}
        case DpoTask():
            kind, inputs = "dpo", {"base_model": task.base_model, "sft": task.sft, "preferences": task.preferences}
    params = dict(tracking.flat({"task": kind, **dataclasses.asdict(task.recipe)}))
    tags = {"job": ctx.job, "trace": ctx.trace, "run": ctx.run, **inputs}
    name = f"{ctx.run.rpartition('/')[2]} {kind}" if ctx.run else ctx.job.rpartition("/")[2]
    return tracking.About(name, params, {f"posology.{key}": value for key, value in tags.items() if value})


def _run(ctx: JobContext, trainer: Trainer, report: Report) -> None:
    checkpoint, passed_over = distributed.newest_intact(Path(str(trainer.args.output_dir)))
    for reason in passed_over:
        ctx.log(f"passed over a damaged checkpoint: {reason}")
    if checkpoint is not None:
        ctx.log("resuming", step=checkpoints.step_of(checkpoint))
    # The loss before the first step, what every later one is compared with. Not by trainer.evaluate(): after that,
    # train() (transformers 5.19, accelerate 1.15) would leave every process alone with its own gradients.
    trainer.args.eval_on_start = checkpoint is None and trainer.eval_dataset is not None
    trainer.add_callback(distributed.Synchronised(trainer))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if report.stopped and trainer.state.global_step < trainer.state.max_steps:
        raise Stopped(trainer.state.global_step)
    _refuse_empty(trainer)


FOLLOWED = Result("followed")
"""Of a process that is not the first: the first one writes and reports what all of them made."""


def _refuse_empty(trainer: Trainer) -> None:
    if trainer.state.global_step == 0:
        raise InvalidInput("the recipe gives no optimiser step at all; raise epochs or add training pairs")


def history(trainer: Trainer) -> dict[str, list[Mapping[str, float]]]:
    """The curves as the trainer remembers them, resumed attempts included: what findings are drawn from."""
    train: list[Mapping[str, float]] = []
    evaluations: list[Mapping[str, float]] = []
    for entry in trainer.state.log_history:
        step = entry["step"]
        if "loss" in entry:
            train.append({"step": step, **_only(entry, "loss", "learning_rate", "grad_norm")})
        elif "eval_loss" in entry:
            evaluations.append({"step": step, **_only(entry, "eval_loss", "eval_rewards/accuracies")})
    return {"train": train, "evaluations": evaluations}


def _only(entry: Mapping[str, Any], *names: str) -> dict[str, float]:
    return {name: float(entry[name]) for name in names if name in entry}
