"""What is checked before a job is accepted, so that nobody waits for a GPU to hear of a typo."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from posology.core.errors import InvalidInput, Violation
from posology.core.jobs.domain import Resources
from posology.training.base_models.models import Models
from posology.training.domain import DpoTask, Method, PreflightTask, SftTask, Task
from posology.training.planning.shapes import NF4_BLOCK, targets

MODEL, ADAPTER = ("base-model", "model"), ("adapter", "model")


async def check(task: Task, models: Models, resources: Resources, *, most_nodes: int = 1) -> None:
    """InvalidInput with every violation: inputs that do not exist or are of another kind, modules, NF4 shapes, and
    batches that the processes of `resources` can't share. `most_nodes` is what this installation can spread over."""
    if resources.nodes > most_nodes:
        problem = f"this installation spreads a training over {most_nodes} node at most; several need a cluster"
        raise InvalidInput.of([Violation("spec.resources.nodes", problem)])
    _shares(task, resources.processes)
    await asyncio.to_thread(_inputs_exist, task, models)
    if isinstance(task, SftTask):
        await _fits_model(task, models)


def _shares(task: Task, processes: int) -> None:
    if isinstance(task, SftTask | DpoTask) and (size := task.recipe.optimisation.batch_size) % processes:
        part, problem = "sft" if isinstance(task, SftTask) else "dpo", f"{size} rows can't be shared among {processes}"
        raise InvalidInput.of([Violation(f"spec.{part}.config.batch_size", f"{problem} processes; make it a multiple")])


def _inputs_exist(task: Task, models: Models) -> None:
    expected: list[tuple[str, str, tuple[str, ...]]] = [("spec.base_model", task.base_model, MODEL)]
    match task:
        case SftTask():
            expected.append(("spec.sft.dataset", task.dataset, ("dataset",)))
            if task.general:
                expected.append(("spec.sft.general", task.general, ("general",)))
        case DpoTask():
            expected.append(("spec.dpo.sft", task.sft, ADAPTER))
            expected.append(("spec.dpo.preferences", task.preferences, ("preferences",)))
        case PreflightTask():
            expected.append(("spec.preflight.dataset", task.dataset, ("dataset",)))
            if task.general:
                expected.append(("spec.preflight.general", task.general, ("general",)))
            if task.preferences:
                expected.append(("spec.preflight.preferences", task.preferences, ("preferences",)))
        case _:
            expected.append(("spec.merge.adapter", task.adapter, ADAPTER))
    _all(partial(models.kind, digest, field=field, kinds=kinds) for field, digest, kinds in expected)


async def _fits_model(task: SftTask, models: Models) -> None:
    """Modules that the model has, and shapes that NF4 takes."""
    if task.recipe.method is Method.FULL:
        return
    shape = (await models.artifact(task.base_model)).shape
    violations = []
    try:
        targets(shape, task.recipe.lora)
    except InvalidInput as error:
        violations += [Violation(f"spec.sft.config.{each.field}", each.description) for each in error.violations]
    odd = sorted({each.short for each in shape.linears if each.inputs % NF4_BLOCK})
    if task.recipe.method is Method.QLORA and odd:
        problem = f"QLORA needs modules whose inputs are multiples of {NF4_BLOCK}; {', '.join(odd)} are not. Use LORA"
        violations.append(Violation("spec.sft.config.method", problem))
    if violations:
        raise InvalidInput.of(violations)


def _all(checks: Iterable[Callable[[], None]]) -> None:
    """Run every check and raise all violations at once."""
    violations: list[Violation] = []
    for check_one in checks:
        try:
            check_one()
        except InvalidInput as error:
            violations += error.violations
    if violations:
        raise InvalidInput.of(violations)
