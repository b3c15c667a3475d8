"""Weaker answers by a teacher model: plausible, and wrong in one clinical fact."""

from collections.abc import Sequence
from pathlib import Path

from posology.curation.domain import Pair, Section
from posology.curation.recipe import TeacherRecipe
from posology.curation.teachers import Task
from posology.curation.teachers.openai import OpenAITeacher

_SYSTEM = (
    "You are given a question on a drug label and its right answer. Write the same answer with exactly one clinical "
    "fact made wrong (a number, a unit, a comparison, a negation, a drug, or a population), of equal length and style. "
    'Answer with JSON: {"pairs": [{"question": "as given", "answer": "the wrong answer"}]}.'
)


def weak_answers(
    pairs: Sequence[Pair], recipe: TeacherRecipe, *, key: str, journal: Path, in_flight: int = 8
) -> list[tuple[Pair, str]]:
    """(pair, weaker answer) for every pair that the teacher managed, in the order given."""
    teacher = OpenAITeacher(
        recipe.endpoint,
        recipe.model,
        journal,
        key=key,
        timeout=recipe.timeout,
        budget=recipe.failure_budget,
        per_section=1,
        in_flight=in_flight,
        compose=_messages,
    )
    answers = teacher.teach([Task(_as_section(pair)) for pair in pairs])
    return [(pair, a.drafts[0].answer) for pair, a in zip(pairs, answers, strict=True) if a.drafts]


def _as_section(pair: Pair) -> Section:
    """A teacher's unit of work is a section: the pair is passed as one, under its own id for the journal."""
    text = f"Question: {pair.question}\nAnswer: {pair.answer}"
    return Section(pair.id, pair.drug, "", "", "Answer to weaken", text, pair.source, pair.family)


def _messages(section: Section, *_: object) -> list[dict[str, str]]:
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": section.text}]
