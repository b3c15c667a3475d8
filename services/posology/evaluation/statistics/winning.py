"""Win rates of paired comparisons: one score a prompt, with and without what length alone explains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from posology.evaluation.statistics.paired import clustered_mean

_STEPS = 50
_NEVER = 1e-6


@dataclass(frozen=True)
class WinRate:
    """Estimate with standard error, on the scale on which it is normal (`logit`), or plain."""

    estimate: float
    error: float
    logit: bool = False

    def p_not_above(self, threshold: float) -> float:
        """One-sided p of "the win rate is at most `threshold`"."""
        if not self.error:
            return 0.0 if self.estimate > threshold else 1.0
        return float(norm.sf((self._scale(self.estimate) - self._scale(threshold)) / self.error))

    def bounds(self, confidence: float) -> tuple[float, float]:
        """One-sided lower and upper bound, each of this confidence."""
        reach, centre = float(norm.ppf(confidence)) * self.error, self._scale(self.estimate)
        low, high = centre - reach, centre + reach
        return (_sigmoid(low), _sigmoid(high)) if self.logit else (max(0.0, low), min(1.0, high))

    def _scale(self, share: float) -> float:
        return math.log(max(share, _NEVER) / max(1 - share, _NEVER)) if self.logit else share


def raw(scores: Sequence[float], clusters: Sequence[str]) -> WinRate:
    """The mean score; a prompt, or a cluster of them, is the unit. Equal scores are no certainty."""
    mean, low, _ = clustered_mean(scores, clusters, confidence=0.95)
    n = len(scores)
    floor = math.sqrt(max(mean * (1 - mean), 1 / (4 * n)) / n) if len(set(scores)) == 1 else 0.0
    return WinRate(mean, max((mean - low) / 1.6449, floor))


def length_controlled(scores: Sequence[float], extra_words: Sequence[int]) -> WinRate:
    """The win rate at equal length: sigmoid of the intercept of a binomial GLM on tanh(extra / sd), HC1 errors.

    Dubois et al., "Length-Controlled AlpacaEval" (2024). A ridge of a hundredth of a prompt keeps the fit finite where
    length tells winners apart; where no length differs it is the raw rate.
    """
    n = len(scores)
    if len(set(scores)) == 1:  # the sandwich claims certainty; one more prompt without a winner claims none
        share = (scores[0] * n + 0.5) / (n + 1)
        return WinRate(share, 1 / math.sqrt((n + 1) * share * (1 - share)), logit=True)
    extra = np.array(extra_words, dtype=float)
    spread = float(extra.std())
    columns = [np.ones(n)] + ([np.tanh(extra / spread)] if spread > 0 else [])
    x, y = np.column_stack(columns), np.array(scores, dtype=float)
    w = np.zeros(x.shape[1])
    ridge = 0.01 * np.eye(x.shape[1])
    for _ in range(_STEPS):
        mu = 1 / (1 + np.exp(-(x @ w)))
        step = np.linalg.solve(x.T @ (x * (mu * (1 - mu))[:, None]) + ridge, x.T @ (y - mu) - ridge @ w)
        w = w + step
        if float(np.abs(step).max()) < 1e-10:
            break
    mu = 1 / (1 + np.exp(-(x @ w)))
    bread: Any = np.linalg.inv(x.T @ (x * (mu * (1 - mu))[:, None]) + ridge)
    meat = x.T @ (x * ((y - mu) ** 2)[:, None]) * (n / max(1, n - x.shape[1]))
    error = math.sqrt(float((bread @ meat @ bread)[0, 0]))
    return WinRate(_sigmoid(float(w[0])), error, logit=True)


def holm(p_values: Sequence[float], *, alpha: float) -> list[bool]:
    """Which hypotheses are rejected with all of them together wrong at most `alpha` of the time. Holm, 1979."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, value))))
