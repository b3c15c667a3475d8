"""Trying again has a price: the k-th use of a suite is decided at a smaller error than the first.

Halving (alpha / 2^(k-1)) keeps the chance that any of all tries passes by luck under 2 alpha; a budget of K tries at
alpha / K each keeps it under alpha, and there is no try K + 1.
"""

from statistics import NormalDist

_POWER = 0.8
ROUNDING = 1e-9
"""How far a confidence may lie below what is asked, for 1 - (1 - c) / tries has no exact decimals."""
MOST_HALVINGS = 40
"""Beyond this many halvings a float can't tell the confidence from certainty."""
FRESH_IS_CHEAPER = 2.0
"""Old items that a later try needs over those that a first one needs: above this, as many fresh ones are fewer."""


def confidence_of(number: int, *, confidence: float, tries: int = 0) -> float:
    """One-sided confidence that decides try `number` (from 1) where a first one is decided at `confidence`.

    `tries` is the budget, 0 = halving. Beyond a budget it is 1: no finite number of items shows anything.
    """
    alpha = 1 - confidence
    if tries:
        return 1 - alpha / tries if number <= tries else 1.0
    return 1 - alpha * 0.5 ** (number - 1)


def items_ratio(spent: float, *, confidence: float) -> float:
    """How many times the items of a first try (at `confidence`) one at `spent` needs for the same power (80%)."""
    if spent >= 1:
        return float("inf")
    normal = NormalDist()
    power = normal.inv_cdf(_POWER)
    return ((normal.inv_cdf(spent) + power) / (normal.inv_cdf(confidence) + power)) ** 2


def percent(share: float) -> str:
    """`95.0%`, `97.5%`, `98.75%`: what a halved error needs, and no zeros beyond the first."""
    whole, _, decimals = f"{share:.3%}".removesuffix("%").partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}%"


def price(
    number: int, *, confidence: float, tries: int = 0, of: str = "this suite", fresh: str = "a fresh suite"
) -> str:
    """Which try of what this is and what it costs, in one sentence; `fresh` would be the first try again."""
    spent = confidence_of(number, confidence=confidence, tries=tries)
    if spent >= 1:
        return f"try {number} of {tries} that the policy allows: {of} can show nothing any more; bring fresh items"
    budget = f" of {tries}" if tries else ""
    if spent == confidence:
        return f"try {number}{budget}, decided at {percent(spent)} confidence"
    ratio = items_ratio(spent, confidence=confidence)
    advice = f"; {fresh} is the cheaper way" if not tries and ratio > FRESH_IS_CHEAPER else ""
    return (
        f"try {number}{budget}, decided at {percent(spent)} confidence: it takes {ratio:.2f} times the items of a "
        f"first try at {percent(confidence)} to show the same{advice}"
    )
