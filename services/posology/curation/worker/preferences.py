"""The job `preferences`: a data set in, chosen/rejected pairs out."""

from collections import Counter

from posology.core.errors import InvalidInput
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.curation import convert
from posology.curation.dataset.card import preference_parameters
from posology.curation.dataset.preferences import Preference, edited_facts, length_matched, make_preference
from posology.curation.domain import GENERAL, REFUSAL, Pair, Section, draw, pair_from_json, section_from_json
from posology.curation.recipe import PreferenceRecipe, Weak
from posology.curation.teachers.weak import weak_answers
from posology.curation.worker.files import read_lines, write_json, write_lines


def make_preferences(job: JobContext) -> Result:
    """Pairs come from the training side of the data set only, so that its validation drugs stay unseen."""
    recipe = convert.preferences_from_proto(convert.preference_spec_from_json(job.spec))
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
