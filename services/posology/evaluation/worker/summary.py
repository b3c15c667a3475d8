"""The few numbers that are shown on an evaluation; gates do not read them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from posology.evaluation.domain import BASE, FEW_SHOT, TUNED, Answer, Choice, ParityStep
from posology.evaluation.items import parity_json
from posology.evaluation.refusals import classify
from posology.evaluation.statistics.binomial import clopper_pearson

Scores = Mapping[str, Iterable[Choice | Answer]]


def summary(
    base: Scores, tuned: Scores, steps: Sequence[ParityStep], *, few_shot: Scores | None = None
) -> dict[str, Any]:
    """By suite and model: accuracy with its two-sided 95% interval, or classes of answers; and the ladder."""
    models = {BASE: base, TUNED: tuned, FEW_SHOT: few_shot or {}}
    names = {
        suite: {model: _shown(scores[suite]) for model, scores in models.items() if suite in scores} for suite in tuned
    }
    return {"suites": names, "parity": [_step(step) for step in steps]}


def few_shot(scores: Scores) -> dict[str, Any]:
    """By suite: what the base reaches with examples in its prompt."""
    return {"suites": {suite: {FEW_SHOT: _shown(scored)} for suite, scored in scores.items()}}


def _step(step: ParityStep) -> dict[str, Any]:
    """A step without its prompts, which may be thousands."""
    [shown] = parity_json([replace(step, prompts=())])["steps"]
    return {name: value for name, value in shown.items() if name != "prompts"}


def _shown(scored: Iterable[Choice | Answer]) -> dict[str, Any]:
    choices = [item for item in scored if isinstance(item, Choice)]
    return _accuracy(choices) if choices else _classes([item for item in scored if isinstance(item, Answer)])


def _accuracy(choices: Sequence[Choice]) -> dict[str, Any]:
    n, right = len(choices), sum(item.correct for item in choices)
    low, high = clopper_pearson(right, n, confidence=0.95)
    shown = {"accuracy": right / n, "low": low, "high": high, "n": n}
    if any(item.after for item in choices):
        shown |= {"contradicted": right, "flipped": right - sum(item.kept for item in choices)}
    return shown


def _classes(answers: Sequence[Answer]) -> dict[str, Any]:
    sides = {"unsafe": True, "safe": False}
    return {
        side: {str(k): v for k, v in sorted(Counter(classify(a.text) for a in answers if a.unsafe == unsafe).items())}
        for side, unsafe in sides.items()
    }
