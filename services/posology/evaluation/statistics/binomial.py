"""One proportion: exact and score intervals, and the exact one for clustered items."""

from collections.abc import Sequence

from scipy.stats import beta
from scipy.stats import t as student


def lower_bound(k: float, n: float, *, confidence: float) -> float:
    """One-sided Clopper-Pearson lower bound of k successes in n; n may be an effective size, not whole.

    Clopper & Pearson, Biometrika 26 (1934) 404.
    """
    return 0.0 if k <= 0 else float(beta.ppf(1 - confidence, k, n - k + 1))


def upper_bound(k: float, n: float, *, confidence: float) -> float:
    """One-sided Clopper-Pearson upper bound of k successes in n."""
    return 1.0 if k >= n else float(beta.ppf(confidence, k + 1, n - k))


def clopper_pearson(k: float, n: float, *, confidence: float) -> tuple[float, float]:
    """The two-sided exact interval: half of the error at each end."""
    one_sided = (1 + confidence) / 2
    return lower_bound(k, n, confidence=one_sided), upper_bound(k, n, confidence=one_sided)


def effective_size(values: Sequence[float], clusters: Sequence[str], *, confidence: float) -> float:
    """How many independent items these clustered ones are worth for the bound of a proportion.

    Korn & Graubard, Survey Methodology 24 (1998) 193: n over the design effect (at least 1), times the squared
    ratio of the normal-sample and between-cluster t quantiles. Equal to n when every cluster has one item.
    """
    n, groups = len(values), _sums(values, clusters)
    if len(groups) in (n, 1):
        return float(n if len(groups) == n else 1)
    mean = sum(values) / n
    binomial = mean * (1 - mean) / n
    g = len(groups)
    between = g / (g - 1) * sum((total - size * mean) ** 2 for total, size in groups) / n**2
    design = max(1.0, between / binomial) if binomial else 1.0
    shrink = student.ppf(confidence, n - 1) / student.ppf(confidence, g - 1)
    return float(n / design * shrink**2)


def _sums(values: Sequence[float], clusters: Sequence[str]) -> list[tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        total, size = sums.get(cluster, (0.0, 0))
        sums[cluster] = (total + value, size + 1)
    return list(sums.values())
