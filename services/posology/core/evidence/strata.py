"""How many errors a finite set can hold whose parts were sampled apart.

Each part: the exact one-sided bound for sampling without replacement, by inverting the hypergeometric distribution
(Buonaccorsi, The American Statistician 41 (1987), 215-218). Their sum: the error probability is divided beforehand
(Bonferroni), so it holds however the parts depend on each other, also when the first sample decided what belongs to the
second part. A part that was read whole has no uncertainty left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scipy import stats

MAIN_SHARE = 0.8
"""Of the error probability, what the first part gets: the larger one, where it buys the most."""


@dataclass(frozen=True)
class Part:
    """`errors` among `sampled` of `size` rows; `mended` errors that were found are no longer among the rows."""

    size: int
    sampled: int
    errors: int
    mended: int = 0


@lru_cache(maxsize=4096)
def most_errors(size: int, sampled: int, errors: int, *, alpha: float) -> int:
    """The most errors among `size` rows that `errors` of `sampled` drawn without replacement do not rule out.

    The largest M with P(X <= errors | M) > alpha; nothing sampled rules nothing out.
    """
    if sampled == 0:
        return size
    low, high = errors, size - (sampled - errors)
    while low < high:
        middle = (low + high + 1) // 2
        if stats.hypergeom.cdf(errors, size, middle, sampled) > alpha:
            low = middle
        else:
            high = middle - 1
    return low


def upper_bound(parts: Sequence[Part], *, rows: int, confidence: float) -> float:
    """The largest error rate of `rows` rows that the samples do not rule out, 0 to 1, at this one-sided confidence.

    The first of two parts has four fifths of the error probability; more share the rest alike.
    """
    if not parts or not rows:
        return 1.0
    alpha = 1 - confidence
    shares = [1.0] if len(parts) == 1 else [MAIN_SHARE, *[(1 - MAIN_SHARE) / (len(parts) - 1)] * (len(parts) - 1)]
    most = [
        most_errors(part.size, part.sampled, part.errors, alpha=alpha * share) - part.mended
        for part, share in zip(parts, shares, strict=True)
    ]
    return min(1.0, sum(most) / rows)
