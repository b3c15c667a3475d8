"""Paired non-inferiority, shared by the gates that compare a tuned model with its base."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from posology.evaluation.domain import GateResult, Outcome, Paired
from posology.evaluation.gates.registry import GateContext
from posology.evaluation.pairs import pair, problem
from posology.evaluation.statistics.paired import clustered_mean, mcnemar, tango
from posology.evaluation.statistics.power import detectable_difference, sufficient_for_difference


@dataclass(frozen=True)
class Comparison:
    """Mean of tuned - base with one-sided bounds, each of the gate's confidence."""

    n: int
    estimate: float
    low: float
    high: float
    method: str
    gained: int
    lost: int
    base: float
    tuned: float
    clusters: int
    design: float
    """Variance of the mean over that of independent items, at least 1."""

    @property
    def changing(self) -> float:
        """Share of items on which the two differ; at least one item, for zero only means that n was too small."""
        return max(self.gained + self.lost, 1) / self.n

    def outcome(self, limit: float) -> Outcome:
        """Whether the difference is shown to exceed `limit`, shown not to, or neither."""
        if self.low > limit:
            return Outcome.PASS
        return Outcome.FAIL if self.high < limit else Outcome.INSUFFICIENT_EVIDENCE

    def detectable(self, *, confidence: float) -> float:
        """The distance from the limit at which 80 of 100 such experiments would show it."""
        return detectable_difference(self.n / self.design, self.changing, confidence=confidence)

    def sufficient(self, limit: float, *, confidence: float) -> int:
        """Items that would show the observed difference, 0 if none would."""
        alone = sufficient_for_difference(self.estimate, limit, self.changing, confidence=confidence)
        return round(alone * self.design)

    def result(
        self, suite: str, metric: str, *, limit: float, margin: float, confidence: float, sentence: str
    ) -> GateResult:
        """The gate that asks for a difference above `limit`; `sentence` is the sentence before its outcome."""
        outcome = self.outcome(limit)
        return GateResult(
            suite=suite,
            metric=metric,
            outcome=outcome,
            explanation=f"{sentence}: {outcome.value}",
            n=self.n,
            estimate=self.estimate,
            low=self.low,
            high=self.high,
            method=self.method,
            margin=margin,
            confidence=confidence,
            minimum_detectable_effect=self.detectable(confidence=confidence),
            sufficient_n=self.sufficient(limit, confidence=confidence),
            details=self.details(limit=limit),
        )

    def details(self, *, limit: float) -> dict[str, Any]:
        """Numbers beside the decision, and the `limit` of the difference; McNemar's test never decides."""
        return {
            "limit": limit,
            "base": self.base,
            "tuned": self.tuned,
            "gained": self.gained,
            "lost": self.lost,
            "clusters": self.clusters,
            "designEffect": self.design,
            "mcnemarP": mcnemar(self.gained, self.lost),
        }


def compare(pairs: Sequence[Paired], *, confidence: float) -> Comparison:
    """Tango's score bounds; where items cluster also the cluster-robust ones, and at each end the wider counts.

    The sandwich alone claims certainty when no item changes, and the score alone when clusters move together.
    """
    n = len(pairs)
    gained = sum(p.difference > 0 for p in pairs)
    lost = sum(p.difference < 0 for p in pairs)
    low, high = tango(gained, lost, n, confidence=confidence)
    clusters = len({p.cluster for p in pairs})
    method, design = "Tango score, one-sided", 1.0
    if clusters < n:
        method, design = f"wider of Tango score and CR1 over {clusters} clusters, one-sided", _design(pairs)
        _, robust_low, robust_high = clustered_mean(*_columns(pairs), confidence=confidence)
        low, high = min(low, robust_low), max(high, robust_high)
    base, tuned = sum(p.base for p in pairs) / n, sum(p.tuned for p in pairs) / n
    return Comparison(n, tuned - base, low, high, method, gained, lost, base, tuned, clusters, design)


def compare_correct(
    ask: GateContext, *, limit: float, margin: float, sentence: Callable[[Comparison], str]
) -> GateResult:
    """A gate on right answers: the bounds of mean(tuned - base) against `limit`, INVALID where items are unsound."""
    assert ask.gate is not None
    suite, confidence = ask.gate.suite, ask.policy.confidence
    by_model = ask.evidence.choices.get(suite, {})
    if reason := problem(by_model):
        return GateResult(suite, "accuracy", Outcome.INVALID, reason)
    comparison = compare(pair(by_model, lambda item: item.correct), confidence=confidence)
    words = sentence(comparison)
    return comparison.result(suite, "accuracy", limit=limit, margin=margin, confidence=confidence, sentence=words)


def _columns(pairs: Sequence[Paired]) -> tuple[list[float], list[str]]:
    return [float(p.difference) for p in pairs], [p.cluster for p in pairs]


def _design(pairs: Sequence[Paired]) -> float:
    values, clusters = _columns(pairs)
    mean = sum(values) / len(values)
    alone = sum((v - mean) ** 2 for v in values)
    if not alone:
        return 1.0
    sums: dict[str, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    return max(1.0, sum(s * s for s in sums.values()) / alone)
