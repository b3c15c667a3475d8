"""A judge's comparison of candidate and base: per prompt, both orders, equal length, only where experts agree."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from posology.evaluation.domain import CRITERIA, Calibrated, GateResult, Judgement, Outcome, SuiteKind
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.statistics.binomial import lower_bound
from posology.evaluation.statistics.winning import WinRate, holm, length_controlled, raw

MOST_UNSCORED = 0.1
"""Share of prompts on which the judge may say nothing that can be read, in either order; above it, INVALID."""
LEAST_CALIBRATION = 50
AGREES = 0.6
"""The share of expert-decided pairs on which the judge agrees must be shown to reach this; a coin reaches 0.5."""


@gate("judged", demands=("win_rate_above",), kinds=(SuiteKind.JUDGED,), metrics=CRITERIA)
def judged(ask: GateContext) -> Iterator[GateResult]:
    """One result for each criterion (or the one that `metric` names); all must pass.

    A prompt scores 1, 0.5 or 0 in each order, and counts once, by the mean of both. PASS iff the win rate at equal
    length, moved by what experts showed the judge to be off, is shown to exceed `winRateAbove`, Holm over the criteria;
    FAIL iff its upper bound lies below. INVALID without experts' comparisons, where the judge does not agree with them,
    and where too little of what it said can be read.
    """
    assert ask.gate is not None
    assert ask.gate.win_rate_above is not None
    criteria = (ask.gate.metric,) if ask.gate.metric else CRITERIA
    judgements = ask.evidence.judgements.get(ask.gate.suite, ())
    made = [_Criterion(ask, criterion, judgements) for criterion in criteria]
    p_values = [one.p if one.sound else 1.0 for one in made]
    shown = holm(p_values, alpha=1 - ask.policy.confidence)
    yield from (one.result(exceeds) for one, exceeds in zip(made, shown, strict=True))


class _Criterion:
    """What is known by one criterion."""

    def __init__(self, ask: GateContext, criterion: str, judgements: Sequence[Judgement]) -> None:
        assert ask.gate is not None
        self.suite, self.name, self.threshold = ask.gate.suite, criterion, ask.gate.win_rate_above or 0.0
        self.confidence, self.total = ask.policy.confidence, len(judgements)
        self.scored = [(one, s) for one in judgements if (s := one.score(criterion)) is not None]
        self.agreed, self.compared = _agreement(ask.evidence.calibration, criterion)
        self.problem = self._problem(len(ask.evidence.calibration))
        if not self.problem:
            scores = [score for _, score in self.scored]
            extra = [one.tuned_words - one.base_words for one, _ in self.scored]
            self.raw = raw(scores, [one.cluster or one.id for one, _ in self.scored])
            alone = raw(scores, [one.id for one, _ in self.scored])
            controlled = length_controlled(scores, extra)
            # Clusters make it less certain by as much as they make the plain mean.
            factor = max(1.0, self.raw.error / alone.error) if alone.error else 1.0
            controlled = replace(controlled, error=controlled.error * factor)
            self.rate, self.shift = _moved(controlled, ask.evidence.calibration, criterion)

    @property
    def sound(self) -> bool:
        return not self.problem

    @property
    def p(self) -> float:
        """Of "the win rate is no more than what is asked"."""
        return self.rate.p_not_above(self.threshold)

    def _problem(self, calibration: int) -> str:
        if calibration < LEAST_CALIBRATION:
            return (
                f"the judge was held against {calibration} comparisons of experts, at least {LEAST_CALIBRATION} are "
                "asked: name a file of them in judge.calibration"
            )
        if not self.total:
            return "the judge compared nothing"
        unscored = self.total - len(self.scored)
        if unscored > MOST_UNSCORED * self.total or not self.scored:
            return (
                f"{unscored} of {self.total} comparisons could not be read, at most {MOST_UNSCORED:.0%} may; "
                "take another judge"
            )
        low = lower_bound(self.agreed, max(self.compared, 1), confidence=self.confidence)
        if low < AGREES:
            return (
                f"the judge agrees with the experts on {self.agreed} of {self.compared} pairs that they decided, which "
                f"proves {low:.1%} only, {AGREES:.0%} is asked; take another judge, or compare more pairs"
            )
        return ""

    def result(self, exceeds: bool) -> GateResult:
        """The gate's word; `exceeds`: Holm says that the win rate is above what is asked."""
        if self.problem:
            return GateResult(
                self.suite, self.name, Outcome.INVALID, self.problem, n=len(self.scored), margin=self.threshold
            )
        low, high = self.rate.bounds(self.confidence)
        outcome = Outcome.PASS if exceeds else Outcome.INSUFFICIENT_EVIDENCE
        if not exceeds and high < self.threshold:
            outcome = Outcome.FAIL
        flips = sum(_contradicts(one, self.name) for one, _ in self.scored)
        return GateResult(
            suite=self.suite,
            metric=self.name,
            outcome=outcome,
            explanation=(
                f"{self.name}: the candidate wins {self.rate.estimate:.1%} at equal length ({self.raw.estimate:.1%} "
                f"without that), at least {low:.1%}; more than {self.threshold:.1%} is asked: {outcome.value}"
            ),
            n=len(self.scored),
            estimate=self.rate.estimate,
            low=low,
            high=high,
            method="binomial GLM at equal length, HC1, per prompt in both orders, Holm over the criteria, one-sided",
            margin=self.threshold,
            confidence=self.confidence,
            details={
                "raw": self.raw.estimate,
                "unscored": self.total - len(self.scored),
                "ordersContradict": flips / len(self.scored),
                "calibration": {"pairs": self.compared, "agreed": self.agreed, "shift": self.shift},
                "p": self.p,
            },
        )


def _agreement(calibration: Sequence[Calibrated], criterion: str) -> tuple[int, int]:
    """Pairs on which the judge leans as the experts do, of those that both could be read on and experts decided."""
    decided = [
        (score, expert)
        for one in calibration
        if (score := one.score(criterion)) is not None and (expert := one.expert.get(criterion)) in (0.0, 1.0)
    ]
    return sum((score > 0.5) == (expert == 1.0) and score != 0.5 for score, expert in decided), len(decided)


def _moved(rate: WinRate, calibration: Sequence[Calibrated], criterion: str) -> tuple[WinRate, float]:
    """The rate moved by how far experts were from the judge on average, its error with theirs (prediction-powered).

    Angelopoulos et al., Science 382 (2023) 669, with the labelled pairs as a sample of their own.
    """
    off = [
        expert - score
        for one in calibration
        if (score := one.score(criterion)) is not None and (expert := one.expert.get(criterion)) is not None
    ]
    shift = sum(off) / len(off)
    variance = sum((o - shift) ** 2 for o in off) / max(1, len(off) - 1) / len(off)
    low, high = rate.bounds(0.8413)  # one standard error, on the scale of shares
    plain = max((high - low) / 2, 1e-9)
    estimate = min(1.0, max(0.0, rate.estimate + shift))
    return WinRate(estimate, (plain**2 + variance) ** 0.5), shift


def _contradicts(one: Judgement, criterion: str) -> bool:
    first, second = (order.get(criterion) for order in one.orders)
    return first is not None and second is not None and abs(first - second) == 1
