"""Accuracy of the tuned model: a point estimate and a proven lower bound, of one registered candidate."""

from collections.abc import Iterator, Sequence

from posology.evaluation.domain import TUNED, Choice, GateResult, Outcome, SuiteKind
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.pairs import problem
from posology.evaluation.statistics.binomial import clopper_pearson, effective_size, lower_bound
from posology.evaluation.statistics.power import detectable_proportion, sufficient_for_proportion


@gate(
    "accuracy",
    demands=("at_least", "lower_bound_at_least"),
    kinds=(SuiteKind.MULTIPLE_CHOICE, SuiteKind.FACTS, SuiteKind.LM_EVAL),
    metrics=("accuracy",),
)
def accuracy(ask: GateContext) -> Iterator[GateResult]:
    """PASS iff the estimate reaches `atLeast` and the one-sided lower bound reaches `lowerBoundAtLeast`.

    FAIL when the estimate falls short, or the whole two-sided interval lies below the bound that is asked for.
    """
    assert ask.gate is not None
    by_model = ask.evidence.choices.get(ask.gate.suite, {})
    if reason := problem(by_model):
        yield GateResult(ask.gate.suite, "accuracy", Outcome.INVALID, reason)
        return
    yield _result(ask, by_model[TUNED])


def _result(ask: GateContext, items: Sequence[Choice]) -> GateResult:
    assert ask.gate is not None
    confidence, n = ask.policy.confidence, len(items)
    values = [float(item.correct) for item in items]
    estimate = sum(values) / n
    size = effective_size(values, [item.cluster or item.id for item in items], confidence=confidence)
    low = lower_bound(estimate * size, size, confidence=confidence)
    ends = clopper_pearson(estimate * size, size, confidence=2 * confidence - 1)
    floor = ask.gate.lower_bound_at_least
    outcome = _outcome(estimate, low, ends[1], ask.gate.at_least, floor)
    margin = floor if floor is not None else ask.gate.at_least or 0.0
    return GateResult(
        suite=ask.gate.suite,
        metric="accuracy",
        outcome=outcome,
        explanation=_sentence(ask, outcome, estimate, low),
        n=n,
        estimate=estimate,
        low=low,
        high=ends[1],
        method=_method(n, size),
        margin=margin,
        confidence=confidence,
        minimum_detectable_effect=detectable_proportion(int(size), margin, confidence=confidence),
        sufficient_n=round(sufficient_for_proportion(estimate, margin, confidence=confidence) * n / size),
        details={
            "correct": sum(item.correct for item in items),
            "effectiveItems": size,
            "atLeast": ask.gate.at_least,
            "limit": floor,
        },
    )


def _outcome(estimate: float, low: float, high: float, at_least: float | None, floor: float | None) -> Outcome:
    if (at_least is not None and estimate < at_least) or (floor is not None and high < floor):
        return Outcome.FAIL
    if floor is not None and low < floor:
        return Outcome.INSUFFICIENT_EVIDENCE
    return Outcome.PASS


def _method(n: int, size: float) -> str:
    if size == n:
        return "Clopper-Pearson, one-sided"
    return f"Clopper-Pearson on {size:.0f} effective items (Korn-Graubard), one-sided"


def _sentence(ask: GateContext, outcome: Outcome, estimate: float, low: float) -> str:
    assert ask.gate is not None
    bounds = [f"at least {ask.gate.at_least:.1%}"] if ask.gate.at_least is not None else []
    if ask.gate.lower_bound_at_least is not None:
        bounds.append(f"proven at least {ask.gate.lower_bound_at_least:.1%}")
    return f"{estimate:.1%} right, proven at least {low:.1%}; asked: {' and '.join(bounds)}: {outcome.value}"
