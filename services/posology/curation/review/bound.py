"""What a sample can prove about an error rate: exact one-sided Clopper-Pearson bounds.

Clopper and Pearson, Biometrika 26 (1934), 404-413. "3 of 200 = 1.5%, passes 2%" would pass a true 2% rate 43% of the
time; the bound does not.
"""

from functools import lru_cache

from scipy import stats


def upper_bound(errors: int, items: int, *, confidence: float) -> float:
    """The largest error rate, 0 to 1, that `errors` among `items` do not rule out at this one-sided confidence."""
    if items == 0 or errors >= items:
        return 1.0
    return float(stats.beta.ppf(confidence, errors + 1, items - errors))


def passes(errors: int, items: int, *, limit: float, confidence: float) -> bool:
    """Whether the rate is shown to be below `limit`."""
    return upper_bound(errors, items, confidence=confidence) < limit


@lru_cache(maxsize=4096)
def allowed_errors(items: int, *, limit: float, confidence: float) -> int:
    """Most errors with which `items` still show the limit; -1 if not even none would."""
    low, high = -1, items
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle, items, limit=limit, confidence=confidence):
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=4096)
def sufficient_sample(errors: int, *, limit: float, confidence: float) -> int:
    """Fewest items that show the limit in spite of `errors` errors."""
    low, high = errors, max(2, 2 * (errors + 1))
    while not passes(errors, high, limit=limit, confidence=confidence):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if passes(errors, middle, limit=limit, confidence=confidence):
            high = middle
        else:
            low = middle
    return high


def chance_to_pass(rate: float, items: int, *, limit: float, confidence: float) -> float:
    """Probability, 0 to 1, that a set with the true error rate `rate` passes a review of `items`."""
    allowed = allowed_errors(items, limit=limit, confidence=confidence)
    return float(stats.binom.cdf(allowed, items, rate)) if allowed >= 0 else 0.0
