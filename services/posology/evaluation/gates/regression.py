"""Regression on a multiple-choice suite: the tuned model loses less than a margin against its base."""

from collections.abc import Iterator

from posology.evaluation.domain import Choice, GateResult, Outcome, SuiteKind
from posology.evaluation.gates.noninferiority import compare
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.pairs import pair, problem


@gate(
    "regression",
    demands=("max_drop",),
    kinds=(SuiteKind.MULTIPLE_CHOICE, SuiteKind.FACTS, SuiteKind.LM_EVAL),
    metrics=("accuracy",),
)
def regression(ask: GateContext) -> Iterator[GateResult]:
    """PASS iff the lower bound of mean(tuned - base) > -maxDrop; FAIL iff the upper bound < -maxDrop."""
    assert ask.gate is not None
    assert ask.gate.max_drop is not None
    by_model = ask.evidence.choices.get(ask.gate.suite, {})
    if reason := problem(by_model):
        yield GateResult(ask.gate.suite, "accuracy", Outcome.INVALID, reason)
        return
    comparison = compare(pair(by_model, _correct), confidence=ask.policy.confidence)
    yield comparison.result(
        ask.gate.suite,
        "accuracy",
        limit=-ask.gate.max_drop,
        margin=ask.gate.max_drop,
        confidence=ask.policy.confidence,
        sentence=(
            f"{comparison.base:.1%} before, {comparison.tuned:.1%} after; "
            f"the change is {comparison.estimate:+.1%}, at worst {comparison.low:+.1%}, and a drop of "
            f"{ask.gate.max_drop:.1%} is too much"
        ),
    )


def _correct(item: Choice) -> bool:
    return item.correct
