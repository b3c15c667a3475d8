"""What a running trainer tells the outside, and when it must stop."""

import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from posology.core.errors import InvalidInput
from posology.core.jobs.worker.runtime import JobContext
from posology.training.worker import checkpoints, distributed
from posology.training.worker.tracking import Tracker, Untracked

STREAMED = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "eval_loss": "eval_loss",
    "mean_token_accuracy": "token_accuracy",
    "eval_mean_token_accuracy": "eval_token_accuracy",
    "rewards/accuracies": "preference_accuracy",
    "rewards/margins": "preference_margin",
    "eval_rewards/accuracies": "eval_preference_accuracy",
    "eval_rewards/margins": "eval_preference_margin",
}


class Report(TrainerCallback):  # type: ignore[misc]
    """Streams metrics, refuses non-finite ones, seals checkpoints, and stops with a checkpoint on SIGTERM."""

    def __init__(self, ctx: JobContext) -> None:
        self.ctx = ctx
        self.tracker: Tracker = Untracked()
        self.stopped = False  # all processes agreed to
        self.busy = 0.0  # seconds inside optimiser steps, evaluation and saving left out
        self.tokens = 0.0
        self._started = 0.0
        self._seen = 0.0
        self._logged_busy = 0.0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._started = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        self.busy += time.perf_counter() - self._started
        if distributed.any_of(self.ctx.stopping.is_set()):
            self.stopped = True
            control.should_save = control.should_training_stop = True
        elif state.global_step >= state.max_steps:
            control.should_save = True
            control.should_evaluate = str(args.eval_strategy) not in ("no", "IntervalStrategy.NO")  # the last steps too
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        refuse_non_finite(logs, state.global_step)
        values = {name: float(logs[key]) for key, name in STREAMED.items() if key in logs}
        if "loss" in logs:
            values |= self._throughput(logs)
            self.ctx.progress(state.global_step, state.max_steps, f"step {state.global_step}, loss {logs['loss']:.4f}")
        if values:
            self.ctx.metric(state.global_step, **values)
            self.tracker.metrics("train" if "loss" in values else "evaluations", state.global_step, values)

    def _throughput(self, logs: dict[str, float]) -> dict[str, float]:
        """Tokens per second of the steps since the last line; padding does not count."""
        tokens, seconds = logs.get("num_tokens", 0.0) - self._seen, self.busy - self._logged_busy
        self._seen, self._logged_busy = logs.get("num_tokens", 0.0), self.busy
        self.tokens += tokens
        return {"tokens_per_second": tokens / seconds} if seconds > 0 and tokens > 0 else {}

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(str(args.output_dir)) / f"{checkpoints.PREFIX}{state.global_step}"
        distributed.complete(folder)
        if not distributed.leads():
            return
        checkpoints.seal(folder)
        self.ctx.checkpoint()
        self.ctx.log("checkpoint saved", step=state.global_step)


def refuse_non_finite(logs: dict[str, float], step: int) -> None:
    """A loss or gradient that is no number ends the job: nothing trained after it can be trusted."""
    for name in ("loss", "grad_norm", "eval_loss"):
        value = logs.get(name)
        if value is not None and not math.isfinite(float(value)):
            if step == 0:
                raise InvalidInput(f"{name} is {float(value)} before the first step: the base model itself is broken")
            raise InvalidInput(
                f"{name} is {float(value)} at step {step}: training diverged and was stopped, nothing is published. "
                "Lower learningRate (try a third of it), lengthen the warm-up, or look for broken rows near this step"
            )
