"""Weaker answers by a teacher model: plausible, and wrong in one clinical fact that is shown to be wrong."""

from collections.abc import Sequence
from pathlib import Path

from posology.core.model_endpoints.access import ModelAccess
from posology.core.visible import hidden
from posology.curation.domain import Pair, Section
from posology.curation.recipe import Budget, TeacherRecipe
from posology.curation.sources.characters import clean
from posology.curation.teachers import Task
from posology.curation.teachers.openai import OpenAITeacher
from posology.curation.teachers.wording import Messages, Wishes
from posology.curation.text.quantities import fingerprint

_SYSTEM = (
    "You are given a question on a drug label and its right answer. Write the same answer with exactly one clinical "
    "fact made wrong (a number, a unit, a comparison, a negation, a frequency, a route, a drug, or a population), of "
    "equal length and style. Answer with JSON: "
    '{"pairs": [{"question": "as given", "answer": "the wrong answer", "question_type": "which kind of fact is wrong", '
    '"evidence": "the words that were changed"}]}.'
)


def weak_answers(
    pairs: Sequence[Pair], recipe: TeacherRecipe, access: ModelAccess, *, journal: Path, in_flight: int = 8
) -> list[tuple[Pair, str]]:
    """(pair, weaker answer) for every pair that the teacher managed, in the order given."""
    teacher = OpenAITeacher(
        access,
        recipe.model,
        journal,
        timeout=recipe.timeout,
        budget=recipe.failure_budget,
        spending=recipe.budget or Budget(),
        per_section=1,
        in_flight=in_flight,
        check=False,
        compose=_messages,
    )
    answers = teacher.teach([Task(_as_section(pair)) for pair in pairs])
    return [
        (pair, clean(a.drafts[0].answer))
        for pair, a in zip(pairs, answers, strict=True)
        if a.drafts and is_flawed(pair.answer, clean(a.drafts[0].answer))
    ]


def is_flawed(answer: str, weak: str) -> bool:
    """Whether the weak answer differs in exactly one kind of fact: a reworded right answer would teach style."""
    differences = {*fingerprint(answer).differences(fingerprint(weak))} - {"bindings"}
    return len(differences) == 1 and not hidden(weak)


def _as_section(pair: Pair) -> Section:
    """A teacher's unit of work is a section: the pair is passed as one."""
    text = f"Question: {pair.question}\nAnswer: {pair.answer}"
    return Section(pair.id, pair.drug, "", "", "Answer to weaken", text, pair.source, pair.family)


def _messages(section: Section, text: str, _count: int, _wishes: Wishes) -> Messages:
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": text}]
