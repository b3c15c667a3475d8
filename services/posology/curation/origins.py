"""What a curation job makes and from what, by its spec: sets from their sources, preferences from a data set."""

from posology.core.jobs.domain import Job, Origin
from posology.curation import convert
from posology.curation.dataset.card import correction_parameters, general_parameters, parameters, preference_parameters
from posology.curation.recipe import TeacherRecipe
from posology.curation.teachers import extractive, openai


def of_dataset(job: Job) -> Origin:
    """Sources are files, not artifacts: a data set has no parents, unless it is a corrected version of another."""
    recipe = convert.recipe_from_proto(convert.dataset_spec_from_json(job.spec))
    if recipe.base:
        return Origin("dataset", (recipe.base,), correction_parameters())
    return Origin("dataset", (), parameters(recipe, teacher=_teacher(recipe.teacher)))


def of_general(job: Job) -> Origin:
    """From a file, as a data set is."""
    recipe = convert.general_from_proto(convert.general_spec_from_json(job.spec))
    return Origin("general", (), general_parameters(recipe))


def of_preferences(job: Job) -> Origin:
    """From the data set that the spec names."""
    recipe = convert.preferences_from_proto(convert.preference_spec_from_json(job.spec))
    parents = () if recipe.uri else (recipe.dataset,)  # one's own preferences are not made from the data set
    return Origin("preferences", parents, preference_parameters(recipe))


def _teacher(recipe: TeacherRecipe) -> str:
    return openai.name_of(recipe.model, judge=recipe.judge) if recipe.endpoint else extractive.NAME
