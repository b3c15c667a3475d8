"""How far two reviewers agree beyond chance.

Kappa: Cohen, Educ. Psychol. Meas. 20 (1960), 37-46. AC1: Gwet, Br. J. Math. Stat. Psychol. 61 (2008), 29-48. Kappa is
near 0 when nearly everything is right, however well two people agree; AC1 is not. Both are shown with the raw share.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """Agreement over `items`, and how often each combination of judgements occurred."""

    items: int
    raw: float
    kappa: float
    ac1: float
    table: tuple[tuple[str, str, int], ...]


def agreement(ratings: Sequence[tuple[str, str]]) -> Agreement:
    """Agreement of two raters; each entry is the first and second rater's category for one item."""
    items = len(ratings)
    if items == 0:
        return Agreement(0, 0.0, 0.0, 0.0, ())
    raw = sum(one == other for one, other in ratings) / items
    first = Counter(one for one, _ in ratings)
    second = Counter(other for _, other in ratings)
    categories = sorted(first.keys() | second.keys())
    by_chance = sum(first[c] * second[c] for c in categories) / items**2
    table = tuple((one, other, count) for (one, other), count in sorted(Counter(ratings).items()))
    return Agreement(items, raw, _beyond(raw, by_chance), _beyond(raw, _gwet_chance(first, second, items)), table)


def _gwet_chance(first: Counter[str], second: Counter[str], items: int) -> float:
    """Chance agreement of AC1, over at least two categories: right and wrong are possible even if one is unused."""
    shares = [(first[c] + second[c]) / (2 * items) for c in first.keys() | second.keys()]
    categories = max(2, len(shares))
    return sum(share * (1 - share) for share in shares) / (categories - 1)


def _beyond(raw: float, by_chance: float) -> float:
    """1 when chance explains everything and the raters agree on everything."""
    return 1.0 if by_chance >= 1 else (raw - by_chance) / (1 - by_chance)
