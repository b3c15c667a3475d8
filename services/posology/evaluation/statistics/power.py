"""What a number of items can show: minimum detectable effects and sufficient sizes."""

import math
from functools import lru_cache

from scipy.optimize import brentq
from scipy.stats import binom, norm

from posology.evaluation.statistics.binomial import lower_bound

POWER = 0.8
"""The chance to show an effect that is there, at which effects and sizes are stated."""
_LARGEST = 1_000_000


@lru_cache(maxsize=10_000)
def successes_needed(n: int, threshold: float, *, confidence: float) -> int:
    """Fewest successes in n whose one-sided lower bound reaches `threshold`; n + 1 if even n do not."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        if lower_bound(middle, n, confidence=confidence) >= threshold:
            high = middle
        else:
            low = middle + 1
    return low


def proportion_power(n: int, true: float, threshold: float, *, confidence: float) -> float:
    """The chance that n items with success rate `true` prove at least `threshold`."""
    return float(binom.sf(successes_needed(n, threshold, confidence=confidence) - 1, n, true))


def detectable_proportion(n: int, threshold: float, *, confidence: float, power: float = POWER) -> float:
    """The least true rate that n items prove to be at least `threshold` with this power; 1 if none."""

    def short(true: float) -> float:
        return proportion_power(n, true, threshold, confidence=confidence) - power

    if short(threshold) >= 0:
        return threshold
    return 1.0 if short(1.0) <= 0 else float(brentq(short, threshold, 1.0))


def sufficient_for_proportion(true: float, threshold: float, *, confidence: float, power: float = POWER) -> int:
    """Items after which a true rate proves at least `threshold` with this power; 0 if no number does."""
    if true <= threshold:
        return 0
    low, high = 1, 1
    while proportion_power(high, true, threshold, confidence=confidence) < power:
        low, high = high, high * 2
        if high > _LARGEST:
            return 0
    while low < high:
        middle = (low + high) // 2
        if proportion_power(middle, true, threshold, confidence=confidence) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def detectable_difference(n: float, changing: float, *, confidence: float, power: float = POWER) -> float:
    """The distance from its limit at which a paired difference is shown by n items, `changing` of which differ.

    Normal approximation at no true difference, (z + z') sqrt(changing / n), and never less than what n items
    show that do not differ at all: Tango's bound is then z**2 / (n + z**2).
    """
    z = float(norm.ppf(confidence))
    return max(float(z + norm.ppf(power)) * math.sqrt(changing / n), z * z / (n + z * z))


def sufficient_for_difference(
    estimate: float, limit: float, changing: float, *, confidence: float, power: float = POWER
) -> int:
    """Pairs after which a true difference `estimate` is shown to exceed `limit`; 0 if no number does.

    `changing`: share of items on which the two differ. Variance of one difference: changing - estimate**2. The
    normal approximation, and never less than the pairs without any difference that would show as much.
    """
    if estimate <= limit:
        return 0
    z, distance = float(norm.ppf(confidence)), estimate - limit
    reach = z + float(norm.ppf(power))
    by_variance = reach**2 * max(changing - estimate**2, 0.0) / distance**2
    return math.ceil(max(1.0, by_variance, z * z * (1 - distance) / distance))
