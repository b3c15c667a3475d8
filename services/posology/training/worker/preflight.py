"""Everything that training would meet, looked at before an expert reads or a GPU is taken: read it from top to bottom.

Whatever SFT, DPO and merging refuse as wrong input is refused here, all at once, with rows and the cheapest remedy.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from posology.core.errors import InvalidInput, Violation
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.training.domain import Method, Note, Optimisation, PreflightTask
from posology.training.planning import devices, packing, shapes
from posology.training.planning.plan import plan
from posology.training.planning.planned import Lengths, Plan, Request, memory_mib
from posology.training.planning.shapes import ModelShape
from posology.training.worker import data, row_checks, templates, tokens
from posology.training.worker.row_checks import Examination, PlacedRow
from posology.training.worker.saving import write_json

RECORD = "preflight.json"
LETTERS = "ABCDEFGHIJ"
NO_PAIRS: tuple[list[data.Row], list[data.Row]] = ([], [])
NO_ROWS: list[data.Row] = []
NO_STOPS: frozenset[int] = frozenset()
T = TypeVar("T")


def run(ctx: JobContext, task: PreflightTask) -> Result:
    """Look at rows and recipe; the artifact is the record. InvalidInput lists everything that is wrong."""
    base, dataset = ctx.input(task.base_model), ctx.input(task.dataset)
    shape = shapes.from_headers(json.loads((base / "config.json").read_text()), shapes.read_headers(base))
    problems: list[Violation] = []

    train, validation = _collect(problems, "spec.curation", lambda: data.pairs(dataset), NO_PAIRS)
    mixture = data.mixture(train, ctx.input(task.general) if task.general else None, task.general_share or 0.0)
    preferred = _preferences(ctx, task, problems)
    tokenizer = _collect(problems, "spec.baseModel", lambda: tokens.open_tokenizer(base), None)
    sft, dpo = Examination(), Examination()
    if tokenizer is not None:
        stops = _collect(problems, "spec.baseModel", lambda: tokens.stop_ids(tokenizer, base), NO_STOPS)
        ctx.progress(0, 3, f"reading {len(mixture.rows) + len(validation):,} rows under the base's template")
        rows = [*row_checks.placed_in(mixture), *row_checks.placed(validation, "validation.jsonl")]
        longest, every = task.sft.optimisation.max_length, task.sft.every_answer
        sft = row_checks.examine(tokenizer, stops, rows, max_length=longest, every_answer=every)
        problems += row_checks.violations_of(sft.faults, _fields("sft"))
        if task.dpo is not None and preferred:
            ctx.progress(1, 3, f"reading {len(preferred):,} preferences")
            dpo = row_checks.examine(tokenizer, stops, _answers(preferred), max_length=task.dpo.optimisation.max_length)
            problems += row_checks.violations_of(dpo.faults, _fields("dpo"))
        problems += _template_violations(base, tokenizer, task.letter_suites)

    ctx.progress(2, 3, "memory and time with the real lengths")
    problems += _recipe_violations(task, shape, len(mixture.rows))
    general = mixture.general
    request = _request(task, shape, sft, dpo, rows=len(mixture.rows), validation=len(validation), general=general)
    contradictions = list(task.sft.contradictions())
    problems += contradictions
    # A plan needs a recipe that the model has modules for and that does not contradict itself.
    plannable = not contradictions and not any("targetModules" in each.field for each in problems)
    made = plan(request) if plannable else None
    if made is not None:
        problems += _memory_violations(request, made)
    problems += _context_violations(shape, sft, dpo)
    if problems:
        raise InvalidInput.of(dict.fromkeys(problems))
    assert made is not None

    notes = [*_row_notes(task, sft, len(validation)), *(note for note in made.notes if note.warning)]
    for note in notes:
        ctx.log(f"{note.field}: {note.message}")
    counts = {
        "training_rows": len(mixture.rows),
        "general_rows": general,
        "validation_rows": len(validation),
        "validation_rows_asked_for": task.validation_rows,
        "preference_rows": len(preferred),
        "joined_rows": request.lengths.packs if request.lengths else 0,
        "longest_row": sft.longest,
        "mean_row": round(sft.mean, 1),
        "longest_preference": dpo.longest,
        "answer_tokens": sft.answer_tokens,
    }
    figures = {
        "memory_mib": round(memory_mib(made.memory, libraries=made.libraries)["total"]),
        "dpo_memory_mib": round(memory_mib(made.dpo_memory, libraries=made.libraries)["total"])
        if made.dpo_memory
        else 0,
        "merge_memory_mib": made.merge_memory >> 20,
        "sft_steps": made.sft_steps,
        "dpo_steps": made.dpo_steps,
        "seconds": round(made.seconds),
    }
    listed = [f"{note.field}: {note.message}" for note in notes]
    write_json(ctx.output / RECORD, {**counts, **figures, "think_block": sft.think_block, "notes": listed})
    ctx.progress(3, 3, "done")
    return Result(
        kind="preflight",
        parents=task.parents,
        parameters={"recipe": dataclasses.asdict(task.sft)},
        summary={**counts, **figures, "notes": listed},
    )


def _collect(problems: list[Violation], field: str, read: Callable[[], T], otherwise: T) -> T:
    """What `read` returns; what it refuses is added to `problems`, so that one fault hides no other."""
    try:
        return read()
    except InvalidInput as error:
        problems += error.violations or [Violation(field, error.message)]
        return otherwise


def _preferences(ctx: JobContext, task: PreflightTask, problems: list[Violation]) -> list[PlacedRow]:
    """All preference rows; the split that DPO makes of them is tried as well."""
    if task.dpo is None or not task.preferences:
        return []
    folder, held_out = ctx.input(task.preferences), task.dpo.held_out
    _collect(problems, "spec.curation.preferences", lambda: data.preferences(folder, held_out=held_out), NO_PAIRS)
    rows = _collect(problems, "spec.curation.preferences", lambda: data.preference_rows(folder), NO_ROWS)
    return row_checks.placed(rows, data.PREFERENCES)


def _answers(preferred: Sequence[PlacedRow]) -> Iterator[PlacedRow]:
    """Both answers of each preference, at the line where it stands."""
    for each in preferred:
        for row in data.answers([each.row]):
            yield PlacedRow(row, each.file, each.number)


def _fields(part: str) -> dict[str, str]:
    rows = "spec.curation" if part == "sft" else "spec.curation.preferences"
    about_rows = dict.fromkeys((row_checks.CONTENT, row_checks.ROLES, row_checks.ANSWER, row_checks.UNKNOWN), rows)
    about_base = dict.fromkeys(
        (row_checks.TEMPLATE, row_checks.STUCK, row_checks.PROMPT, row_checks.END), "spec.baseModel"
    )
    about_recipe = {
        row_checks.LENGTH: f"spec.training.{part}.maxLength",
        row_checks.TURN: f"spec.training.{part}.assistantOnlyLoss",
    }
    return {**about_rows, **about_base, **about_recipe}


def _template_violations(base: Path, tokenizer: Any, letter_suites: Sequence[str]) -> Iterator[Violation]:
    """A template that reads the clock, and options that are not scored by one token each."""
    if templates.reads_clock(tokenizer):
        yield Violation(
            "spec.baseModel",
            "the chat template writes today's date into every prompt, so tomorrow's prompt is another one than was "
            "trained and evaluated. Import the base model again with "
            "baseModel.templateDate, the date that its prompts are to show.",
        )
    if letter_suites and (problem := templates.letters_problem(tokenizer, LETTERS)):
        yield Violation(
            "spec.evaluation.suites",
            f"{', '.join(letter_suites)}: {problem}. Score them by OPTION_LIKELIHOOD, or use another base model.",
        )


def _recipe_violations(task: PreflightTask, shape: ModelShape, rows: int) -> Iterator[Violation]:
    """What the recipe asks of the model and of the processes that would share it."""
    processes = max(1, task.gpus) * task.nodes
    parts: list[tuple[str, Optimisation]] = [("sft", task.sft.optimisation)]
    if task.dpo is not None:
        parts.append(("dpo", task.dpo.optimisation))
    for part, optimisation in parts:
        if optimisation.batch_size % processes:
            yield Violation(
                f"spec.training.{part}.batchSize",
                f"{optimisation.batch_size} rows can't be shared among {processes} processes; make it a multiple",
            )
    if rows and not task.sft.optimisation.steps(rows):
        yield Violation("spec.training.sft.epochs", "gives no optimiser step at all; raise it, or add training pairs")
    if task.sft.method is not Method.FULL:
        try:
            shapes.targets(shape, task.sft.lora)
        except InvalidInput as error:
            for each in error.violations:
                yield Violation(f"spec.training.sft.{each.field}", each.description)
    odd = sorted({each.short for each in shape.linears if each.inputs % shapes.NF4_BLOCK})
    if task.sft.method is Method.QLORA and odd:
        yield Violation(
            "spec.training.sft.method",
            f"QLORA needs modules whose inputs are multiples of {shapes.NF4_BLOCK}; {', '.join(odd)} are not. Use LORA",
        )


def _request(
    task: PreflightTask,
    shape: ModelShape,
    sft: Examination,
    dpo: Examination,
    *,
    rows: int,
    validation: int,
    general: int,
) -> Request:
    device = devices.find(os.environ.get("POSOLOGY_DEVICE", "")) if task.gpus else devices.cpu(os.cpu_count() or 1)
    return Request(
        shape=shape,
        sft=task.sft,
        dpo=task.dpo,
        rows=rows,
        preference_rows=len(dpo.lengths) // 2,
        gpus=task.gpus * task.nodes,
        device=device,
        validation_rows=validation,
        general_share=task.general_share,
        general_rows=general,
        lengths=Lengths(sft.longest, sft.mean, _packs(task, sft.lengths[:rows])) if sft.lengths else None,
        preference_lengths=Lengths(dpo.longest, dpo.mean) if dpo.lengths else None,
        host_memory=task.memory,
    )


def _packs(task: PreflightTask, lengths: Sequence[int]) -> int:
    """How many joined rows the training rows become; they stand before those of validation."""
    optimisation = task.sft.optimisation
    return packing.packs(lengths, optimisation.max_length) if optimisation.packing else 0


def _memory_violations(request: Request, made: Plan) -> Iterator[Violation]:
    """What cannot fit even one row at a time; what is only near the edge stays a warning of the plan."""
    if not request.gpus or request.device is None or not request.device.memory:
        return
    for part, memory in (("sft", made.memory), ("dpo", made.dpo_memory)):
        if memory is not None and memory.total > request.device.memory:
            yield Violation(
                f"spec.training.{part}.method" if part == "sft" else "spec.training.dpo.maxLength",
                f"even one row at a time needs about {memory.total / 2**30:.1f} GiB and {request.device.name} has "
                f"{request.device.memory / 2**30:.0f}. QLORA, a shorter maxLength or a smaller model need less",
            )


def _context_violations(shape: ModelShape, sft: Examination, dpo: Examination) -> Iterator[Violation]:
    longest = max(sft.longest, dpo.longest)
    if longest > shape.context:
        yield Violation(
            "spec.baseModel",
            f"the longest row has {longest} tokens and the model takes {shape.context}. Let curation make shorter rows",
        )


def _row_notes(task: PreflightTask, sft: Examination, validation: int) -> Iterator[Note]:
    """What is no fault and still worth a sentence."""
    if task.validation_rows and validation != task.validation_rows:
        yield Note(
            "curation.validation",
            f"{task.validation_rows} validation rows were asked for and {validation} are held out: whole families of "
            "drugs are, and filters came after the count.",
        )
    if sft.think_block:
        yield Note(
            "baseModel",
            f"the template begins each answer with a think block ({sft.think_block!r}); the loss falls on it, served "
            "answers begin with it, and graders must look behind it.",
        )
    if sft.rewritten:
        first = ", ".join(each.label for each in sft.rewritten[: row_checks.SHOWN])
        yield Note(
            "baseModel",
            f"the tokenizer normalises {len(sft.rewritten)} answers (case, ligatures, superscripts): the model "
            f"learns the "
            f"normal form, not what reviewers read. {first}",
        )
