"""Which function does which kind of job."""

from collections.abc import Callable, Mapping

from posology.core.errors import Internal
from posology.core.jobs.worker import JobContext, Result
from posology.training import convert
from posology.training.domain import DpoTask, MergeTask, SftTask
from posology.training.worker import base_model


def run_training(ctx: JobContext) -> Result:
    """SFT, DPO or a merge, by the task in the spec; the heavy imports happen only for the one that runs."""
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


HANDLERS: Mapping[str, Callable[[JobContext], Result]] = {
    "training": run_training,
    "base-model": base_model.run,
}
