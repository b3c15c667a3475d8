"""Gain on a multiple-choice suite: the tuned model is really better than its base, by more than a margin."""

from collections.abc import Iterator

from posology.evaluation.domain import Choice, GateResult, Outcome, SuiteKind
from posology.evaluation.gates.noninferiority import compare
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.pairs import pair, problem


@gate(
    "gain",
    demands=("min_gain",),
    kinds=(SuiteKind.MULTIPLE_CHOICE, SuiteKind.FACTS, SuiteKind.LM_EVAL),
    metrics=("accuracy",),
)
def gain(ask: GateContext) -> Iterator[GateResult]:
    """PASS iff the lower bound of mean(tuned - base) > minGain; FAIL iff the upper bound < minGain."""
    assert ask.gate is not None
    assert ask.gate.min_gain is not None
    by_model = ask.evidence.choices.get(ask.gate.suite, {})
    if reason := problem(by_model):
        yield GateResult(ask.gate.suite, "accuracy", Outcome.INVALID, reason)
        return
    comparison = compare(pair(by_model, _correct), confidence=ask.policy.confidence)
    yield comparison.result(
        ask.gate.suite,
        "accuracy",
        limit=ask.gate.min_gain,
        margin=ask.gate.min_gain,
        confidence=ask.policy.confidence,
        sentence=(
            f"{comparison.base:.1%} before, {comparison.tuned:.1%} after; the gain is at least {comparison.low:+.1%}, "
            f"more than {ask.gate.min_gain:.1%} is asked"
        ),
    )


def _correct(item: Choice) -> bool:
    return item.correct
