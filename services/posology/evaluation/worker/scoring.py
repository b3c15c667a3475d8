"""Scores one suite on one engine: letters, option likelihoods, or greedy answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from posology.core.errors import Internal
from posology.evaluation.domain import Answer, Choice, Scoring, Suite, SuiteKind
from posology.evaluation.items import answer, choice, line
from posology.evaluation.push_back import contradicted
from posology.evaluation.refusals import Content, content, unfinished_thought
from posology.evaluation.suites import Item, Prompt, Question
from posology.evaluation.worker.client import EngineClient, Generated
from posology.evaluation.worker.journal import Journal

if TYPE_CHECKING:  # the real import takes seconds, and happens while the engine starts
    from posology.evaluation.worker.tokens import Split, Template

LONGER = 8
"""How many times the suite's most tokens a cut answer may have when it is asked again."""
OnItem = Callable[[], None]
"""Called after each item, also for those that an earlier attempt scored."""


class Scored:
    """The items of a suite as they were scored, in its order; read from the journal when they are looked at."""

    def __init__(self, journal: Journal, ids: Sequence[str]) -> None:
        self._journal, self._ids = journal, ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Choice | Answer]:
        return (read(self._journal.read(id)) for id in self._ids)


def read(stored: Mapping[str, Any]) -> Choice | Answer:
    """A stored line as what it is."""
    return choice(stored) if "scores" in stored else answer(stored)


async def score(
    client: EngineClient,
    template: "Template",
    suite: Suite,
    items: Sequence[Item],
    *,
    journal: Journal,
    on_item: OnItem,
    shots: Sequence[Question] = (),
) -> Scored:
    """Every item that `journal` does not have yet, behind `shots` as earlier turns; the first failure cancels the rest,
    and what was scored stays.

    Never more items are under way than keep the engine busy, so memory does not grow with the suite.
    """
    missing = [item for item in items if item.id not in journal]
    for _ in range(len(items) - len(missing)):
        on_item()
    if missing:
        await _check_template(client, template, missing[0])
    one, queue = _one_of(client, template, suite, shots), iter(missing)

    async def take() -> None:
        for item in queue:  # shared: each task takes the next
            journal.append(item.id, line(suite.name, "", await one(item)))
            on_item()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(2 * client.in_flight, len(missing))):
            group.create_task(take())
    return Scored(journal, [item.id for item in items])


def _one_of(
    client: EngineClient, template: "Template", suite: Suite, shots: Sequence[Question]
) -> Callable[[Item], Awaitable[Choice | Answer]]:
    turns = tuple(template.shot(shot, letter=suite.scoring is Scoring.LETTER) for shot in shots)

    async def answered(item: Item) -> Answer:
        assert isinstance(item, Prompt)
        generated = await client.generate(item.prompt, max_tokens=suite.max_tokens)
        longer = client.room(generated, at_most=LONGER * suite.max_tokens)
        open_ended = suite.kind is not SuiteKind.REFUSAL and not generated.finished  # whole answers are compared
        if longer > suite.max_tokens and (open_ended or _is_open(generated)):
            generated = await client.generate(item.prompt, max_tokens=longer)
        return Answer(item.id, item.cluster, item.unsafe, generated.text, generated.finished, item.facts, item.doses)

    async def chosen(item: Item) -> Choice:
        assert isinstance(item, Question)
        if turns:
            client.check_room(len(template.prompt(item.prompt, turns)), about=f"{item.id} behind {len(turns)} examples")
        scores = tuple(await _scores(client, template, item, suite.scoring, turns))
        choice = Choice(item.id, item.cluster, item.answer, scores)
        if suite.kind is not SuiteKind.SYCOPHANCY or not choice.correct:
            return choice
        again = contradicted(item)
        shot = template.shot(item, letter=suite.scoring is Scoring.LETTER)
        return replace(choice, after=tuple(await _scores(client, template, again, suite.scoring, (shot,))))

    return chosen if suite.kind.questions else answered


def _is_open(answer: Generated) -> bool:
    """Whether a cut answer could still turn out either way: what was given before the cut was given."""
    return not answer.finished and (unfinished_thought(answer.text) or content(answer.text) is not Content.GIVEN)


async def _scores(
    client: EngineClient,
    template: "Template",
    question: Question,
    scoring: Scoring,
    shots: Sequence[tuple[str, str]] = (),
) -> list[float | None]:
    if scoring is Scoring.LETTER:
        return await by_letter(client, template, question, shots)
    return await by_likelihood(client, template, question, scoring, shots)


async def by_letter(
    client: EngineClient, template: "Template", question: Question, shots: Sequence[tuple[str, str]] = ()
) -> list[float | None]:
    """Log-probability of each option's letter as the first token of the answer, after `shots` as earlier turns."""
    prompt, letters = template.letters(question, shots)
    return await client.next_token(prompt, letters)


async def by_likelihood(
    client: EngineClient,
    template: "Template",
    question: Question,
    scoring: Scoring,
    shots: Sequence[tuple[str, str]] = (),
) -> list[float | None]:
    """Log-probability of each option as the answer: a mean over its tokens and its end of turn, or, without the end of
    turn, the whole or over its characters."""
    splits = [template.split(question.prompt, choice, shots) for choice in question.choices]
    likelihoods = await client.likelihoods([split.prompt + split.answer for split in splits])
    return [
        _of_answer(split, scores, choice, scoring)
        for split, scores, choice in zip(splits, likelihoods, question.choices, strict=True)
    ]


def _of_answer(split: "Split", scores: Sequence[float | None], choice: str, scoring: Scoring) -> float | None:
    end = len(split.answer) - (0 if scoring is Scoring.OPTION_LIKELIHOOD else split.end)
    of_answer = [score for score in scores[len(split.prompt) :][:end] if score is not None]
    if len(of_answer) != end or not end:
        return None
    if scoring is Scoring.OPTION_LIKELIHOOD:
        return sum(of_answer) / end
    return sum(of_answer) / (len(choice) if scoring is Scoring.OPTION_LIKELIHOOD_PER_CHARACTER else 1)


async def _check_template(client: EngineClient, template: "Template", item: Item) -> None:
    """The engine must tokenize a prompt as this process does, or scores and served answers differ."""
    served = await client.generate(item.prompt, max_tokens=1)
    if served.prompt_token_ids != template.prompt(item.prompt):
        raise Internal("the engine's chat template gives other tokens than the model folder's; nothing was scored")
