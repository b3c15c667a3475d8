"""Regression on a multiple-choice suite: the tuned model loses less than a margin against its base."""

from collections.abc import Iterator

from posology.evaluation.domain import Choice, GateResult, Outcome, SuiteKind
from posology.evaluation.gates.noninferiority import compare
from posology.evaluation.gates.registry import Ask, gate
from posology.evaluation.pairs import pair, problem


@gate("regression", demands=("max_drop",), kinds=(SuiteKind.MULTIPLE_CHOICE,), metrics=("accuracy",))
def regression(ask: Ask) -> Iterator[GateResult]:
    """PASS iff the lower bound of mean(tuned - base) > -maxDrop; FAIL iff the upper bound < -maxDrop."""
    assert ask.gate is not None
    assert ask.gate.max_drop is not None
    by_model = ask.evidence.choices.get(ask.gate.suite, {})
    if reason := problem(by_model):
        yield GateResult(ask.gate.suite, "accuracy", Outcome.INVALID, reason)
        return
    found = compare(pair(by_model, _correct), confidence=ask.policy.confidence)
    yield GateResult(
        suite=ask.gate.suite,
        metric="accuracy",
        outcome=(outcome := found.outcome(-ask.gate.max_drop)),
        explanation=(
            f"{found.base:.1%} before, {found.tuned:.1%} after; the change is at least {found.low:+.1%}, "
            f"and a drop of {ask.gate.max_drop:.1%} is too much: {outcome.value}"
        ),
        n=found.n,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        method=found.method,
        margin=ask.gate.max_drop,
        confidence=ask.policy.confidence,
        minimum_detectable_effect=found.detectable(confidence=ask.policy.confidence),
        sufficient_n=found.sufficient(-ask.gate.max_drop, confidence=ask.policy.confidence),
        details=found.details(limit=-ask.gate.max_drop),
    )


def _correct(item: Choice) -> bool:
    return item.correct
