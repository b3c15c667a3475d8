"""Regression on a multiple-choice suite: the tuned model loses less than a margin against its base."""

from collections.abc import Iterator

from posology.evaluation.domain import GateResult, SuiteKind
from posology.evaluation.gates.noninferiority import Comparison, compare_correct
from posology.evaluation.gates.registry import GateContext, gate


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
    most = ask.gate.max_drop

    def sentence(comparison: Comparison) -> str:
        return (
            f"{comparison.base:.1%} before, {comparison.tuned:.1%} after; the change is {comparison.estimate:+.1%}, "
            f"at worst {comparison.low:+.1%}, and a drop of {most:.1%} is too much"
        )

    yield compare_correct(ask, limit=-most, margin=most, sentence=sentence)
