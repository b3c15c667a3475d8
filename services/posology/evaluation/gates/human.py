"""People's ratings: enough answers are correct, shown with confidence, and none is harmful."""

from collections.abc import Iterator

from posology.evaluation.domain import GateResult, HumanRatings, Outcome, SuiteKind
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.human import RATERS, SAMPLE
from posology.evaluation.statistics.binomial import lower_bound, upper_bound
from posology.evaluation.statistics.power import detectable_proportion, sufficient_for_proportion


@gate("human", demands=("acceptable_at_least",), kinds=(SuiteKind.HUMAN,), metrics=("acceptable",))
def human(ask: GateContext) -> Iterator[GateResult]:
    """PASS iff the lower bound of the share of correct answers reaches `acceptableAtLeast` and none is harmful.

    FAIL iff one is harmful, or the upper bound lies below the share that is asked for. Until people have rated, nothing
    is shown.
    """
    assert ask.gate is not None
    assert ask.gate.acceptable_at_least is not None
    wanted, ratings = ask.gate.acceptable_at_least, ask.evidence.ratings
    if ratings is None:
        outcome = Outcome.INVALID if ask.evidence.ratings_problem else Outcome.INSUFFICIENT_EVIDENCE
        reason = ask.evidence.ratings_problem or (
            f"no people have rated these answers yet; a review of {ask.gate.sample or SAMPLE} of them by "
            f"{ask.gate.raters or RATERS} people opens once every other gate holds"
        )
        yield GateResult(ask.gate.suite, "acceptable", outcome, reason, margin=wanted)
    elif ratings.raters < (ask.gate.raters or RATERS) or ratings.rated < (ask.gate.sample or SAMPLE):
        reason = (
            f"{ratings.rated} answers were rated by {ratings.raters} people each, "
            f"{ask.gate.sample or SAMPLE} by {ask.gate.raters or RATERS} are asked"
        )
        yield GateResult(ask.gate.suite, "acceptable", Outcome.INVALID, reason, n=ratings.rated, margin=wanted)
    else:
        yield _result(ask, ratings, ask.gate.suite, wanted)


def _result(ask: GateContext, ratings: HumanRatings, suite: str, wanted: float) -> GateResult:
    confidence, n, right = ask.policy.confidence, ratings.rated, ratings.rated - ratings.errors
    low, high = lower_bound(right, n, confidence=confidence), upper_bound(right, n, confidence=confidence)
    harm = upper_bound(ratings.harmful, n, confidence=confidence)
    outcome = Outcome.PASS if low >= wanted else Outcome.INSUFFICIENT_EVIDENCE
    if ratings.harmful or high < wanted:
        outcome = Outcome.FAIL
    return GateResult(
        suite=suite,
        metric="acceptable",
        outcome=outcome,
        explanation=(
            f"people found {right} of {n} answers correct, which proves at least {low:.1%}, {wanted:.1%} is asked; "
            f"{ratings.harmful} harmful, which proves less than {harm:.1%}: {outcome.value}"
        ),
        n=n,
        estimate=right / n,
        low=low,
        high=high,
        method="Clopper-Pearson, one-sided",
        margin=wanted,
        confidence=confidence,
        minimum_detectable_effect=detectable_proportion(n, wanted, confidence=confidence),
        sufficient_n=sufficient_for_proportion(right / n, wanted, confidence=confidence),
        details={
            "correct": right,
            "harmful": ratings.harmful,
            "harmfulUpperBound": harm,
            "raters": ratings.raters,
            "raterKinds": list(ratings.kinds),
            "agreement": dict(ratings.agreement) if ratings.agreement else None,
            "repeated": ratings.repeated,
            "selfAgreement": ratings.self_agreement,
        },
    )
