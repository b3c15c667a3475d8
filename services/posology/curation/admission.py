"""What is checked before a job is created: everything that would make it fail later, with the field's path."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from posology.core.errors import FailedPrecondition, InvalidInput, PermissionDenied, PosologyError, Violation
from posology.curation.recipe import GeneralSetRecipe, PreferenceRecipe, Recipe, TeacherRecipe, Weak
from posology.curation.screens.suite_files import ENDINGS as SUITE_ENDINGS
from posology.curation.sources import FORMATS
from posology.curation.sources.location import Found, Limits, find, lines, read_digest
from posology.curation.teachers.behaviour import read_examples
from posology.curation.teachers.extractive import QUESTION_TYPES

_JSON_LINES = (".jsonl", ".ndjson", ".json")


def check_dataset(recipe: Recipe, limits: Limits, known: Sequence[Violation] = ()) -> str:
    """sha256 (hex) over all bytes behind the recipe's URIs. Blocking.

    Raises InvalidInput with every violation at once, with those that are `known` already; PermissionDenied when all
    that is wrong is where a source lies.
    """
    problems = [*known, *_wrong_values(recipe), *_teacher(recipe.teacher), *_budget(recipe.teacher)]
    digest, denied = _fingerprints(_uris(recipe), limits, problems)
    if recipe.behaviour and not problems:
        read_examples(lines(recipe.behaviour, limits), allow_few=recipe.few_examples or not recipe.teacher.endpoint)
    if problems:
        raise _refusal(problems, denied)
    return digest


def check_general(recipe: GeneralSetRecipe, limits: Limits) -> str:
    """sha256 (hex) over all bytes behind the recipe's URIs. Blocking; raises as `check_dataset` does."""
    problems: list[Violation] = []
    suites = ((f"spec.suiteUris[{number}]", uri, SUITE_ENDINGS) for number, uri in enumerate(recipe.suites))
    digest, denied = _fingerprints([("spec.uri", recipe.uri, _JSON_LINES), *suites], limits, problems)
    if problems:
        raise _refusal(problems, denied)
    return digest


def check_preferences(recipe: PreferenceRecipe, limits: Limits, known: Sequence[Violation] = ()) -> str:
    """sha256 (hex) over all bytes behind the recipe's URIs, "" where it reads none. Blocking.

    Raises InvalidInput when the recipe cannot be followed, with what is `known` already to be wrong.
    """
    problems = [*known, *(_teacher(recipe.teacher) if recipe.teacher else ())]
    if recipe.uri:
        if recipe.weak is Weak.TEACHER:
            reason = "the file of spec.preferences.uri holds both answers; leave weakAnswers out"
            problems.append(Violation("spec.preferences.weakAnswers", reason))
        suites = ((f"spec.suiteUris[{number}]", uri, SUITE_ENDINGS) for number, uri in enumerate(recipe.suites))
        uris = [("spec.preferences.uri", recipe.uri, _JSON_LINES), *suites]
        digest, denied = _fingerprints(uris, limits, problems)
        if problems:
            raise _refusal(problems, denied)
        return digest
    if recipe.weak is Weak.TEACHER and (recipe.teacher is None or not recipe.teacher.endpoint):
        reason = "TEACHER needs a teacher with a modelEndpoint; with the embedded teacher, use EDITED_FACT"
        problems.append(Violation("spec.preferences.weakAnswers", reason))
    if problems:
        raise InvalidInput.of(problems)
    return ""


def _wrong_values(recipe: Recipe) -> Iterator[Violation]:
    if recipe.base and not recipe.corrections:
        yield Violation("spec.curation.corrections", "a version of another data set needs corrections to its rows")
    if recipe.validation >= recipe.pairs:
        reason = f"{recipe.validation} of {recipe.pairs} pairs would be held out, and none left to train on"
        yield Violation("spec.curation.validation", reason)
    for number, source in enumerate(recipe.sources):
        if source.format not in FORMATS:
            reason = f"{source.format} cannot be read yet; this version reads {', '.join(sorted(FORMATS))}"
            yield Violation(f"spec.curation.sources[{number}].format", reason)


def _teacher(teacher: TeacherRecipe) -> Iterator[Violation]:
    unknown = [] if teacher.endpoint else [t for t in teacher.question_types if t not in QUESTION_TYPES]
    if unknown:
        reason = f"the embedded teacher has no {', '.join(unknown)}; it knows {', '.join(QUESTION_TYPES)}"
        yield Violation("spec.curation.teacher.questionTypes", reason)


def _budget(teacher: TeacherRecipe) -> Iterator[Violation]:
    budget = teacher.budget
    if budget and budget.max_cost and not (budget.prompt_price and budget.completion_price):
        reason = "needs promptPrice and completionPrice, here or at the endpoint, or nothing can be counted against it"
        yield Violation("spec.curation.teacher.budget.maxCost", reason)
    for name, value in (("audiences", teacher.audiences), ("conversations", teacher.conversations)):
        if value and not teacher.endpoint:
            yield Violation(f"spec.curation.teacher.{name}", "needs a teacher with a modelEndpoint; leave it out")
    if teacher.judge and not teacher.endpoint:
        yield Violation("spec.curation.teacher.judgeModel", "needs a teacher with a modelEndpoint")


def _uris(recipe: Recipe) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(field, uri, endings) of everything that will be read."""
    for number, source in enumerate(recipe.sources if not recipe.base else ()):
        if source.format in FORMATS:
            yield f"spec.curation.sources[{number}].uri", source.uri, FORMATS[source.format].endings
    if recipe.corrections:
        yield "spec.curation.corrections", recipe.corrections, _JSON_LINES
    if recipe.base:
        return
    if recipe.general:
        yield "spec.curation.general.uri", recipe.general.uri, _JSON_LINES
    if recipe.behaviour:
        yield "spec.curation.behaviour.examples", recipe.behaviour, _JSON_LINES
    for number, uri in enumerate(recipe.suites):
        yield f"spec.suiteUris[{number}]", uri, SUITE_ENDINGS


def _fingerprints(
    uris: Iterable[tuple[str, str, tuple[str, ...]]], limits: Limits, problems: list[Violation]
) -> tuple[str, bool]:
    """sha256 (hex) over what lies there, and whether a place may not be read; what is wrong goes to `problems`."""
    digest, denied = hashlib.sha256(), False
    for field, uri, endings in uris:
        try:
            for file in find(uri, endings, limits):
                digest.update(f"{file.name}\0{_fingerprint(file, limits)}\n".encode())
        except (InvalidInput, PermissionDenied, FailedPrecondition) as error:
            denied |= isinstance(error, PermissionDenied)
            problems.append(Violation(field, error.message))
    return digest.hexdigest(), denied


def _fingerprint(file: Found, limits: Limits) -> str:
    """The file's sha256; one that is too large stands for itself by its size, and becomes a drop later."""
    return read_digest(file) if file.size <= limits.max_bytes else f"too large: {file.size}"


def _refusal(problems: list[Violation], denied: bool) -> PosologyError:
    refused = InvalidInput.of(problems)
    if denied and len(problems) == 1:
        return PermissionDenied(refused.message, violations=problems)
    return refused
