"""What a job was planned to need of its machine's memory, in the words of whoever has to give it more."""

from posology.core.jobs.domain import Resources
from posology.training.base_models.models import Models
from posology.training.domain import DpoTask, Lora, Method, Optimisation, SftTask, Task
from posology.training.planning import batches, packing
from posology.training.planning.batches import Batches
from posology.training.planning.memory import LIBRARIES
from posology.training.planning.shapes import ModelShape


async def expectation(task: Task, resources: Resources, models: Models) -> str:
    """What PlanTraining estimates for this very job, and what to change; "" for a merge, which is not planned."""
    match task:
        case SftTask(recipe=recipe):
            method, lora, optimisation, sequences = recipe.method, recipe.lora, recipe.optimisation, 1
        case DpoTask(recipe=preference):
            method, lora, optimisation, sequences = Method.LORA, preference.lora, preference.optimisation, 2
        case _:
            return ""
    shape = (await models.artifact(task.base_model)).shape
    cut = _cut(shape, method, lora, optimisation, resources, sequences)
    return _on_a_gpu(cut) if resources.gpus else _on_the_host(cut, optimisation)


def _cut(
    shape: ModelShape, method: Method, lora: Lora, optimisation: Optimisation, resources: Resources, sequences: int
) -> Batches:
    """As the worker cuts its batches; the longest row is taken to be as long as it may be."""
    return batches.fit(
        shape,
        method=method,
        lora=lora,
        batch_size=max(1, optimisation.batch_size // resources.processes),
        micro=packing.micro(optimisation),
        max_length=optimisation.max_length,
        device_memory=0,
        bf16=resources.gpus > 0,
        sequences_per_row=sequences,
        optim=optimisation.optim,
    )


def _on_the_host(cut: Batches, optimisation: Optimisation) -> str:
    total = cut.memory.total + LIBRARIES
    return (
        f"its plan estimates up to {_gib(total)}: {_gib(cut.memory.weights)} of weights, "
        f"{_gib(cut.memory.activations)} of activations with {cut.micro} rows of {optimisation.max_length} tokens at "
        f"once, {_gib(LIBRARIES)} of libraries. Raise training.resources.memoryMib to {-(-total // (1 << 20))} or "
        "more, or lower microBatchSize or maxLength"
    )


def _on_a_gpu(cut: Batches) -> str:
    """Weights pass through the host's memory on their way to the GPU."""
    host = cut.memory.weights + 4 * LIBRARIES
    return (
        f"its plan estimates {_gib(host)} of the host's memory ({_gib(cut.memory.weights)} of weights on their way to "
        f"the GPU, {_gib(4 * LIBRARIES)} of CUDA and libraries) for each GPU. Raise training.resources.memoryMib, or "
        "the memory of its node pool (workers.pools)"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
