"""Gain on a multiple-choice suite: the tuned model is really better than its base, by more than a margin."""

from collections.abc import Iterator

from posology.evaluation.domain import GateResult, SuiteKind
from posology.evaluation.gates.noninferiority import Comparison, compare_correct
from posology.evaluation.gates.registry import GateContext, gate


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
    least = ask.gate.min_gain

    def sentence(comparison: Comparison) -> str:
        return (
            f"{comparison.base:.1%} before, {comparison.tuned:.1%} after; the gain is at least {comparison.low:+.1%}, "
            f"more than {least:.1%} is asked"
        )

    yield compare_correct(ask, limit=least, margin=least, sentence=sentence)
