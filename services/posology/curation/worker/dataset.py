"""The job `dataset`: sources in, a data set out."""

from typing import Any

from posology.core import settings
from posology.core.errors import Cancelled
from posology.core.jobs.worker.runtime import JobContext, Result, Stopped
from posology.curation import convert
from posology.curation.dataset.build import Built, build
from posology.curation.dataset.card import card, drops_by_reason, parameters
from posology.curation.dataset.corpus import gather
from posology.curation.dataset.coverage import gaps
from posology.curation.dataset.general import read_general
from posology.curation.domain import Corpus, Pair
from posology.curation.recipe import Budget, Recipe
from posology.curation.screens.decontaminate import Suites
from posology.curation.screens.filters.min_words import floor
from posology.curation.settings import SourceSettings
from posology.curation.sources.location import Limits, lines
from posology.curation.teachers import Teacher
from posology.curation.teachers.behaviour import read_examples
from posology.curation.teachers.extractive import ExtractiveTeacher
from posology.curation.teachers.openai import OpenAITeacher
from posology.curation.teachers.wording import QUESTION_TYPES, Wishes
from posology.curation.worker.corrections import make_version
from posology.curation.worker.files import write_json, write_lines
from posology.curation.worker.screens import screens_of, suites_of


def make_dataset(job: JobContext) -> Result:
    """Everything is derived from the spec, the sources and the seed, so an attempt that starts over gives the same."""
    recipe = convert.recipe_from_proto(convert.dataset_spec_from_json(job.spec))
    limits = settings.load(SourceSettings).limits
    if recipe.base:
        return make_version(job, recipe, limits)

    teacher: Teacher | None = None

    def progress(done: float, total: float, message: str) -> None:
        if job.stopping.is_set():
            raise Stopped
        spent = f"; {teacher.progress()}" if isinstance(teacher, OpenAITeacher) else ""
        job.progress(done, total, f"{message}{spent}")
        job.checkpoint(every=30)  # the journal of the teacher's answers, which cost money

    corpus = gather(recipe.sources, limits, progress=progress)
    job.log("sources read", files=len(corpus.files), sections=len(corpus.sections), pairs=len(corpus.pairs))
    suites = suites_of(recipe.suites, limits)
    general = _general(recipe, limits)
    teacher = _teacher(job, recipe, limits)
    screens = screens_of(recipe.duplicates, suites, corpus.sections)
    try:
        built = build(recipe, corpus, teacher, screens, general, progress=progress)
    except Cancelled:  # a teacher's pause was cut short; what it answered is in its journal
        raise Stopped from None
    used = _usage(teacher, recipe)
    _write(job, recipe, corpus, built, teacher.name, suites, used)
    return Result("dataset", (), parameters(recipe, teacher=teacher.name), _summary(built, corpus) | used)


def _general(recipe: Recipe, limits: Limits) -> list[Pair]:
    if recipe.general is None:
        return []
    return read_general(lines(recipe.general.uri, limits), name=recipe.general.uri.rsplit("/", 1)[-1])


def _teacher(job: JobContext, recipe: Recipe, limits: Limits) -> Teacher:
    chosen = recipe.teacher
    if not chosen.endpoint:
        return ExtractiveTeacher(chosen.style, chosen.question_types, seed=recipe.seed)
    return OpenAITeacher(
        job.endpoint(chosen.endpoint),
        chosen.model,
        job.workdir / "teacher.jsonl",
        timeout=chosen.timeout,
        budget=chosen.failure_budget,
        wishes=_wishes(recipe, limits),
        spending=chosen.budget or Budget(),
        judge=chosen.judge,
        stopping=job.stopping,
    )


def _wishes(recipe: Recipe, limits: Limits) -> Wishes:
    records = lines(recipe.behaviour, limits) if recipe.behaviour else ()
    examples = read_examples(records, allow_few=recipe.few_examples) if recipe.behaviour else ()
    kinds = recipe.teacher.question_types or tuple(QUESTION_TYPES)
    fewest = {kind: min(recipe.filters.min_words, floor(kind, recipe.filters.min_words)) for kind in kinds}
    teacher = recipe.teacher
    return Wishes(teacher.question_types, teacher.audiences, fewest, examples, teacher.conversations)


def _write(
    job: JobContext, recipe: Recipe, corpus: Corpus, built: Built, teacher: str, suites: Suites, used: dict[str, Any]
) -> None:
    out = job.output
    write_lines(out / "train.jsonl", (pair.as_json() for pair in built.train))
    write_lines(out / "validation.jsonl", (pair.as_json() for pair in built.validation))
    write_lines(out / "sections.jsonl", (s.as_json() for s in sorted(corpus.sections, key=lambda s: s.id)))
    write_lines(out / "drops.jsonl", (drop.as_json() for drop in built.drops))
    kept = [*built.train, *built.validation]
    write_lines(out / "gaps.jsonl", gaps(corpus.sections, kept, built.drops))
    made = card(recipe, corpus, built, teacher=teacher, suite_questions=len(suites.questions))
    write_json(out / "card.json", made | used)


def _usage(teacher: Teacher, recipe: Recipe) -> dict[str, Any]:
    """What an API was paid for; nothing for the embedded teacher."""
    if not isinstance(teacher, OpenAITeacher):
        return {}
    usage, budget = teacher.usage, recipe.teacher.budget or Budget()
    tokens = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return {"teacher_usage": tokens | {"calls": usage.items, "cost": round(usage.cost(budget), 6)}}


def _summary(built: Built, corpus: Corpus) -> dict[str, Any]:
    return {
        "train": len(built.train),
        "validation": len(built.validation),
        "considered": built.considered,
        "drugs": len({p.drug for p in [*built.train, *built.validation] if p.drug}),
        "sections": len(corpus.sections),
        "drops": drops_by_reason(built.drops),
    }
