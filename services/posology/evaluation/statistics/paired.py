"""Two models on the same items: bounds of the mean difference, and McNemar's test."""

import math
from collections.abc import Sequence
from functools import lru_cache

from scipy.optimize import brentq
from scipy.stats import binom, norm
from scipy.stats import t as student

_EDGE = 1e-12


def tango(gained: int, lost: int, n: int, *, confidence: float) -> tuple[float, float]:
    """One-sided score bounds, each of the given confidence, of P(gained) - P(lost) among n pairs.

    `gained`: base wrong and tuned right; `lost`: the reverse. Tango, Statistics in Medicine 17 (1998) 891.
    """
    return -_tango_upper(lost, gained, n, confidence), _tango_upper(gained, lost, n, confidence)


@lru_cache(maxsize=100_000)
def _tango_upper(gained: int, lost: int, n: int, confidence: float) -> float:
    z = float(norm.ppf(confidence))
    estimate = (gained - lost) / n

    def excess(delta: float) -> float:
        return _score(gained, lost, n, delta) + z

    if estimate >= 1 - _EDGE or excess(1 - _EDGE) > 0:
        return 1.0
    return float(brentq(excess, max(estimate, -1 + _EDGE), 1 - _EDGE, xtol=1e-10))


def _score(gained: int, lost: int, n: int, delta: float) -> float:
    """Tango's statistic for the hypothesis that the difference is `delta`: standard normal where it is."""
    variance = n * (2 * _lost_given(gained, lost, n, delta) + delta * (1 - delta))
    numerator = gained - lost - n * delta
    if variance <= 0:
        return 0.0 if numerator == 0 else math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)


def _lost_given(gained: int, lost: int, n: int, delta: float) -> float:
    """Most likely P(lost) when the difference is `delta`: the root of 2n q^2 + bq + c = 0."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    return float((math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a))


def clustered_mean(
    values: Sequence[float], clusters: Sequence[str], *, confidence: float
) -> tuple[float, float, float]:
    """Mean, and one-sided lower and upper bounds, robust to dependence within clusters.

    The sandwich of OLS on a constant with the CR1 correction G/(G-1) and t quantiles with G-1 degrees of
    freedom: what statsmodels' OLS(values, 1) gives with cov_type="cluster" and use_t. Liang & Zeger,
    Biometrika 73 (1986) 13. With one cluster nothing is known: the bounds are -1 and 1.
    """
    n, mean = len(values), sum(values) / len(values)
    sums: dict[str, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    g = len(sums)
    if g == 1:
        return mean, -1.0, 1.0
    # statsmodels' factor is G/(G-1) * (n-1)/(n-k), and k is 1 here.
    error = math.sqrt(g / (g - 1) * sum(s * s for s in sums.values())) / n
    reach = float(student.ppf(confidence, g - 1)) * error
    return mean, mean - reach, mean + reach


def mcnemar(gained: int, lost: int) -> float:
    """Exact one-sided p of "tuned is not better than base": P(X >= gained), X ~ Bin(gained + lost, 1/2).

    McNemar, Psychometrika 12 (1947) 153. 1 when no pair differs.
    """
    return float(binom.sf(gained - 1, gained + lost, 0.5))
