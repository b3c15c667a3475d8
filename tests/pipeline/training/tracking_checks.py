"""Run by the worker python: `tracking_checks.py CASE...` tells a tracker numbers as a training does; prints JSON.

A case is `JOB:TRACE:FIRST:LAST:HOW`: steps FIRST to LAST of that job, and how it ends (done, stopped, failed).
"""

import json
import sys
import time
from typing import Any

from posology.core.jobs.worker.runtime import Stopped
from posology.training.worker import tracking


class Context:
    """Only what a tracker calls."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str, **fields: object) -> None:
        self.lines.append(message)


def training(ctx: Any, job: str, trace: str, first: int, last: int, how: str) -> None:
    """A loss of 1 / step, told as it falls."""
    settings = {"task": "sft", "lora": {"rank": 16, "target_modules": ("q_proj", "v_proj")}}
    tags = {"posology.job": job, "posology.trace": trace, "posology.dataset": "sha256:data"}
    about = tracking.About("micro sft", dict(tracking.flat(settings)), tags)
    with tracking.tracked(ctx, lambda: about) as tracker:
        for step in range(first, last + 1):
            tracker.metrics("train", step, {"loss": 1 / step, "grad_norm": 0.5})
        tracker.metrics("evaluations", last, {"eval_loss": 0.25})
        if how == "stopped":
            raise Stopped(last)
        if how == "failed":
            raise RuntimeError("diverged")


if __name__ == "__main__":
    outcomes = []
    for case in sys.argv[1:]:
        job, trace, first, last, how = case.split(":")
        ctx, begun = Context(), time.monotonic()
        try:
            training(ctx, job, trace, int(first), int(last), how)
            ended = "done"
        except (Stopped, RuntimeError) as error:
            ended = type(error).__name__
        outcomes.append({"ended": ended, "lines": ctx.lines, "seconds": time.monotonic() - begun})
    print(json.dumps({"outcomes": outcomes, "imported": "mlflow" in sys.modules, "torch": "torch" in sys.modules}))
