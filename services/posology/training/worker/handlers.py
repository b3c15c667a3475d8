"""Which function does which kind of job."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from posology.core.errors import Exhausted, Internal
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.training import convert
from posology.training.domain import DpoTask, MergeTask, PreflightTask, SftTask
from posology.training.worker import base_model


def run_training(ctx: JobContext) -> Result:
    """SFT, DPO or a merge, by the task in the spec."""
    _choose_device(ctx.spec)
    try:
        return _run(ctx)
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, by name: torch may not be imported here
            raise Exhausted(
                "the GPU has too little memory for this job; set microBatchSize to 1, lower maxLength, use QLORA, or "
                "ask for a larger GPU (PlanTraining says which)"
            ) from error
        if "No space left" in str(error) or "PytorchStreamWriter" in str(error):  # neither is an OSError
            raise Exhausted(f"no space left on the disk of {ctx.workdir}; free some and start the job again") from error
        raise


def _choose_device(spec: Mapping[str, Any]) -> None:
    """As many GPUs as the spec asks for; a merge takes one if there is one. Before torch is imported."""
    if "merge" in spec or int(spec.get("resources", {}).get("gpus", 0)) > 0:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(convert.processes_of(spec)))))
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _run(ctx: JobContext) -> Result:
    """The heavy imports happen only for the task that runs."""
    match convert.task_from_spec(ctx.spec):
        case SftTask() as task:
            from posology.training.worker import sft

            return sft.train(ctx, task)
        case DpoTask() as task:
            from posology.training.worker import dpo

            return dpo.train(ctx, task)
        case MergeTask() as task:
            from posology.training.worker import merge

            return merge.merge(ctx, task)
    raise Internal("a training job without a task")


def run_preflight(ctx: JobContext) -> Result:
    """A look at everything that the other tasks would meet; no GPU is touched."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    task = convert.task_from_spec(ctx.spec)
    if not isinstance(task, PreflightTask):
        raise Internal("a preflight job without its task")
    from posology.training.worker import preflight

    return preflight.run(ctx, task)


HANDLERS: Mapping[str, Callable[[JobContext], Result]] = {
    "training": run_training,
    "preflight": run_preflight,
    "base-model": base_model.run,
}
