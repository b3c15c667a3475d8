"""Tasks of lm-evaluation-harness on our engine: its prompts and its metrics, our requests and our journal.

The library is optional (`requirements/lm-eval.txt`): it brings twenty packages, one of them under the LGPL. It is asked
for what a task says and for what its answers are worth; no data set is fetched, the suite's file is the data.
"""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posology.core.errors import FailedPrecondition, InvalidInput
from posology.evaluation.domain import Choice, LmEvalTask
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.journal import Journal

if TYPE_CHECKING:
    from posology.evaluation.worker.tokens import Template

_NAME = "posology"
_MOST_TOKENS = 1024
"""Of a generated answer where the task does not say."""


@dataclass(frozen=True)
class Harness:
    """A task as the library made it, and what it is."""

    task: Any
    first: int
    """Number of the row that is asked first; those before it are examples."""
    name: str
    task_version: str
    library: str

    @property
    def identity(self) -> dict[str, str]:
        """Everything but the data that decides its prompts and metrics."""
        return {"task": self.name, "version": self.task_version, "lm-eval": self.library}


def load(asked: LmEvalTask, records: Sequence[Mapping[str, Any]], shots: Sequence[Mapping[str, Any]]) -> Harness:
    """The task over these records, with `shots` before each question. Blocking, for seconds.

    FailedPrecondition without the library; InvalidInput for a task that it does not have, of another version, or of a
    kind that is not asked here.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    try:
        import lm_eval  # type: ignore[import-not-found,unused-ignore]
        import yaml
        from lm_eval.tasks import TaskManager  # type: ignore[import-not-found,unused-ignore]

        library = version("lm-eval")
    except (ImportError, PackageNotFoundError):
        raise FailedPrecondition(
            "lm-evaluation-harness is not installed in this installation's workers; an operator installs "
            "requirements/lm-eval.txt into their environment or image"
        ) from None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        splits = {"test": _write(folder / "test.jsonl", records)}
        splits |= {"shots": _write(folder / "shots.jsonl", shots)} if shots else {}
        definition = _definition(Path(lm_eval.__file__).parent / "tasks", asked.task)
        config = {
            "include": str(definition),
            "task": _NAME,
            "tag": None,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": splits},
            "test_split": "test",
            "training_split": None,
            "validation_split": None,
            "fewshot_split": "shots" if shots else None,
            "num_fewshot": len(shots),
        }
        (folder / f"{_NAME}.yaml").write_text(yaml.safe_dump(config))
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        try:
            task = manager.load([_NAME])["tasks"][_NAME]
        except Exception as error:  # noqa: BLE001 - whatever a task definition runs into
            raise InvalidInput(f"{asked.task} cannot be made over the suite's file: {_short(error)}") from None
    made = Harness(task, len(shots), asked.task, str(task.VERSION), library)
    if asked.version and asked.version != made.task_version:
        raise InvalidInput(
            f"{asked.task} is version {made.task_version} in lm-eval {library}, {asked.version} is asked"
        )
    if task.OUTPUT_TYPE not in ("multiple_choice", "generate_until"):
        raise InvalidInput(f"{asked.task} is of kind {task.OUTPUT_TYPE}; multiple_choice and generate_until are asked")
    return made


async def score(
    client: EngineClient,
    template: "Template",
    suite: str,
    harness: Harness,
    metric: str,
    *,
    journal: Journal,
    on_item: Callable[[], None],
) -> list[Choice]:
    """Every record of the task, right or wrong by `metric` (empty = the task's first)."""
    task = harness.task
    await asyncio.to_thread(_build, task, template)
    by_record: dict[int, list[Any]] = {}
    for instance in task.instances:
        by_record.setdefault(instance.doc_id, []).append(instance)

    async def answered(id: int, instances: list[Any]) -> None:
        name = f"{id}"
        if name not in journal:
            journal.append(name, [await _answer(client, template, one) for one in instances])
        for instance, response in zip(instances, journal.read(name), strict=True):
            instance.resps.append(tuple(response) if isinstance(response, list) else response)
        on_item()

    queue = iter(by_record.items())

    async def take() -> None:
        for id, instances in queue:
            await answered(id, instances)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(2 * client.in_flight, len(by_record))):
            group.create_task(take())
    task.apply_filters()
    return [_choice(task, harness.first + id, instances, metric, suite) for id, instances in sorted(by_record.items())]


def _build(task: Any, template: "Template") -> None:
    def render(turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return template.render(turns, add_generation_prompt=add_generation_prompt)

    task.build_all_requests(
        apply_chat_template=True, fewshot_as_multiturn=True, chat_template=render, tokenizer_name="served"
    )


async def _answer(client: EngineClient, template: "Template", instance: Any) -> Any:
    """(log-likelihood, never known to be greedy), or the text."""
    context, rest = instance.args
    if instance.request_type == "loglikelihood":
        before, after = _pair(template, context, rest)
        [scores] = await client.likelihoods([before + after])
        values = scores[len(before) :]
        return [sum(value for value in values if value is not None), False]
    until = rest.get("until") or []
    return await client.complete(
        template.encode(context),
        max_tokens=int(rest.get("max_gen_toks") or rest.get("max_tokens") or _MOST_TOKENS),
        stop=[until] if isinstance(until, str) else list(until),
    )


def _pair(template: "Template", context: str, continuation: str) -> tuple[list[int], list[int]]:
    """As lm-eval cuts them: spaces at the end of the context belong to what follows."""
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    whole, before = template.encode(context + continuation), template.encode(context)
    return whole[: len(before)], whole[len(before) :]


def _choice(task: Any, id: int, instances: Sequence[Any], metric: str, suite: str) -> Choice:
    key = next(iter(instances[0].filtered_resps))
    measured = task.process_results(instances[0].doc, [one.filtered_resps[key] for one in instances])
    name = metric or next(iter(measured))
    if name not in measured:
        raise InvalidInput(f"{suite}: the task measures {', '.join(measured)}, and lmEval.metric is {name}")
    value = measured[name]
    if isinstance(value, list) or float(value) not in (0.0, 1.0):
        raise InvalidInput(
            f"{suite}: {name} of item {id} is {_short(value)}; what is right or wrong can be gated alone"
        )
    scores, gold = [one.filtered_resps[key] for one in instances], None
    if name == "acc" and task.OUTPUT_TYPE == "multiple_choice":
        gold = task.doc_to_target(instances[0].doc)
    if isinstance(gold, int) and 0 <= gold < len(scores) and len({one[0] for one in scores}) > 1:
        return Choice(str(id), "", gold, tuple(float(one[0]) for one in scores))  # the gate finds the likeliest itself
    return Choice(str(id), "", 0, (0.0, -1.0) if float(value) else (-1.0, 0.0))


def _definition(folder: Path, task: str) -> Path:
    named = re.compile(rf"^task:\s*[\"']?{re.escape(task)}[\"']?\s*$", re.MULTILINE)
    for path in sorted(folder.rglob("*.yaml")):
        if named.search(path.read_text(encoding="utf-8", errors="replace")):
            return path
    raise InvalidInput(f"lm-eval has no task {task!r}; groups of tasks are not asked, name each of their tasks")


def _write(path: Path, records: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


def _short(value: object) -> str:
    return " ".join(str(value).split())[:200]
