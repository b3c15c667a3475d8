"""A paired difference, predicted by a judge on every item and labelled by people on a sample: its bound."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimated:
    """An estimate with its one-sided bounds, each of the same confidence."""

    estimate: float
    low: float
    high: float


def powered(predicted: Estimated, tuned: Estimated, base: Estimated) -> Estimated:
    """mean(tuned - base) as predicted, moved by what labels show the predictions to be off on either model.

    `predicted`: of the predicted differences over all items; `tuned`, `base`: mean of (label - prediction) over the
    labelled answers of each model. Angelopoulos et al., Science 382 (2023) 669: unbiased however wrong the predictions
    are. Their normal interval claims certainty where no label differs from its prediction, so the three bounds (score
    bounds for paired binary data) are joined instead: MOVER, Zou & Donner, Statistics in Medicine 27 (2008) 1693, which
    treats them as independent. They are not quite, for the labelled answers are among the predicted ones; for binary
    values that covariance is never positive, so the bounds are too wide rather than too narrow.
    """
    estimate = predicted.estimate + tuned.estimate - base.estimate
    below = math.hypot(predicted.estimate - predicted.low, tuned.estimate - tuned.low, base.high - base.estimate)
    above = math.hypot(predicted.high - predicted.estimate, tuned.high - tuned.estimate, base.estimate - base.low)
    return Estimated(estimate, max(-1.0, estimate - below), min(1.0, estimate + above))


def sufficient_labels(
    predicted: Estimated, tuned: Estimated, base: Estimated, *, labels: int, limit: float, flawless: bool
) -> int:
    """Labels of each model after which estimates like these are shown to exceed `limit`; 0 if no number does.

    `flawless`: no label differed from its prediction, where the bound is z**2 / (n + z**2) and shrinks with n;
    elsewhere with its root.
    """
    distance = predicted.estimate + tuned.estimate - base.estimate - limit
    left = distance**2 - (predicted.estimate - predicted.low) ** 2
    if distance <= 0 or left <= 0:
        return 0
    times = ((tuned.estimate - tuned.low) ** 2 + (base.high - base.estimate) ** 2) / left
    return math.ceil(labels * (math.sqrt(times) if flawless else times))
