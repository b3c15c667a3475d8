"""The job `preferences`: a data set in, chosen/rejected pairs out."""

from collections import Counter
from dataclasses import replace

from posology.core import settings
from posology.core.errors import InvalidInput
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.curation import convert
from posology.curation.dataset.card import drops_by_reason, preference_parameters
from posology.curation.dataset.preferences import Preference, edited_facts, length_matched, make_preference
from posology.curation.domain import GENERAL, REFUSAL, Drop, Pair, Section, draw, pair_from_json, section_from_json
from posology.curation.recipe import PreferenceRecipe, Weak
from posology.curation.settings import SourceSettings
from posology.curation.sources.location import record_files
from posology.curation.sources.preference_rows import read_preferences
from posology.curation.teachers.weak import weak_answers
from posology.curation.worker.files import read_lines, write_json, write_lines
from posology.curation.worker.screens import suites_of


def make_preferences(job: JobContext) -> Result:
    """Pairs come from the training side of the data set only, so that its validation drugs stay unseen."""
    recipe = convert.preferences_from_proto(convert.preference_spec_from_json(job.spec))
    if recipe.uri:
        return _take_given(job, recipe)
    dataset = job.input(recipe.dataset)
    pairs = [pair_from_json(line) for line in read_lines(dataset / "train.jsonl")]
    sections = {line["id"]: section_from_json(line) for line in read_lines(dataset / "sections.jsonl")}
    job.progress(0, recipe.pairs, f"{len(pairs)} pairs to choose from")
    made = _make(job, recipe, pairs, sections)
    kinds = dict(sorted(Counter(preference.kind for preference in made).items()))
    parameters = preference_parameters(recipe)
    write_lines(job.output / "preferences.jsonl", (preference.as_json() for preference in made))
    used = {preference.pair.section for preference in made}
    write_lines(job.output / "sections.jsonl", (sections[id].as_json() for id in sorted(used & sections.keys())))
    write_json(job.output / "card.json", {"pairs": len(made), "kinds": kinds, "recipe": parameters})
    job.progress(len(made), recipe.pairs, "done")
    return Result("preferences", (recipe.dataset,), parameters, {"pairs": len(made), "kinds": kinds})


def _take_given(job: JobContext, recipe: PreferenceRecipe) -> Result:
    """The preferences of a file, without those that a suite holds; at most as many as the recipe says, by its seed."""
    limits = settings.load(SourceSettings).limits
    rows: list[tuple[Pair, str]] = []
    drops: list[Drop] = []
    for name, records in record_files(recipe.uri, limits):
        kept, dropped = read_preferences(records, source=name)
        rows, drops = rows + kept, drops + dropped
    job.progress(0, len(rows), f"{len(rows)} preferences read")
    suites = suites_of(recipe.suites, limits)
    made: dict[str, Preference] = {}
    for pair, rejected in rows:
        drop = suites.check(pair) or suites.check(replace(pair, answer=rejected))
        preference = make_preference(pair, rejected, kind="given")
        if drop is None and preference.id in made:
            drop = Drop("duplicates", "exact", "the same conversation and answers stand there twice", pair.source)
        if drop is not None:
            drops.append(drop)
        else:
            made[preference.id] = preference
    chosen = sorted(made.values(), key=lambda one: draw(recipe.seed, "preference", one.id))[: recipe.pairs]
    if not chosen:
        first = drops[0].detail if drops else "the file is empty"
        raise InvalidInput(f"none of the rows of spec.curation.preferences.uri can be used; the first: {first}")
    counts = {
        "pairs": len(chosen),
        "kinds": {"given": len(chosen)},
        "beyond_pairs": len(made) - len(chosen),
        "drops": drops_by_reason(drops),
    }
    parameters = preference_parameters(recipe)
    write_lines(job.output / "preferences.jsonl", (preference.as_json() for preference in chosen))
    write_lines(job.output / "sections.jsonl", ())
    write_lines(job.output / "drops.jsonl", (drop.as_json() for drop in drops))
    write_json(job.output / "card.json", {**counts, "recipe": parameters})
    job.progress(len(chosen), len(rows), "done")
    return Result("preferences", (), parameters, counts)


def _make(
    job: JobContext, recipe: PreferenceRecipe, pairs: list[Pair], sections: dict[str, Section]
) -> list[Preference]:
    if recipe.weak is Weak.EDITED_FACT:
        return edited_facts(pairs, sections, wanted=recipe.pairs, seed=recipe.seed)
    return _by_teacher(job, recipe, pairs)


def _by_teacher(job: JobContext, recipe: PreferenceRecipe, pairs: list[Pair]) -> list[Preference]:
    if recipe.teacher is None or not recipe.teacher.endpoint:
        raise InvalidInput("weakAnswers: TEACHER needs a teacher with a modelEndpoint; the embedded one edits facts")
    access = job.endpoint(recipe.teacher.endpoint)
    usable = [pair for pair in pairs if not {GENERAL, REFUSAL} & set(pair.tags)]
    order = sorted(usable, key=lambda pair: draw(recipe.seed, "preference", pair.id))
    made: list[Preference] = []
    while order and len(made) < recipe.pairs:
        batch, order = order[: recipe.pairs - len(made)], order[recipe.pairs - len(made) :]
        answers = weak_answers(batch, recipe.teacher, access, journal=job.workdir / "weak.jsonl")
        made += [
            make_preference(pair, weak, kind="weak")
            for pair, weak in answers
            if weak != pair.answer and length_matched(pair.answer, weak)
        ]
    if len(made) < recipe.pairs:
        raise InvalidInput(
            f"the teacher gave {len(made)} usable weaker answers of {recipe.pairs} wanted; ask for fewer"
        )
    return made
