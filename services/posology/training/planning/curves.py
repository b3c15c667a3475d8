"""What loss curves say: each finding names its step and what to do. Never a gate: nothing ships on training loss."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from posology.training.domain import Finding

Points = Sequence[Mapping[str, float]]
Rule = Callable[[Points, Points], Finding | None]

RISE = 1.25
"""A smoothed loss this many times its best is a rise, not noise."""
LEAST_RISE = 0.02
"""A rise below this share of the first loss is none."""
FLAT = 0.01
"""A relative gain below this over the second half of the run is none."""
OVERFIT_EVALUATIONS = 2
"""Evaluations in a row above the best before it is called overfitting."""
FEWEST = 20
"""Curves shorter than this many steps are too noisy to read."""


def findings(train: Points, evaluations: Points) -> list[Finding]:
    """All that the rules find.

    `train` holds {step, loss, learning_rate, grad_norm} per optimiser step, `evaluations` {step, eval_loss}.
    """
    for rule in RUNAWAY:
        # What runs away also lies flat where it ends up, and validates badly: its cause is the one thing to say.
        if finding := rule(train, evaluations):
            return [finding]
    return [finding for rule in RULES if (finding := rule(train, evaluations))]


def smoothed(values: Sequence[float]) -> list[float]:
    """Trailing means over a twentieth of the run, at least five values: entry i ends at value i."""
    window = max(5, len(values) // 20)
    return [sum(values[max(0, i - window + 1) : i + 1]) / min(i + 1, window) for i in range(len(values))]


def not_finite(train: Points, evaluations: Points) -> Finding | None:
    """A loss or gradient norm that is no number."""
    for point in [*train, *evaluations]:
        for name in ("loss", "grad_norm", "eval_loss"):
            if not math.isfinite(point.get(name, 0.0)):
                return Finding(
                    "divergence",
                    int(point["step"]),
                    f"{name} is {point[name]}.",
                    "Lower the learning rate to a third, or lengthen the warm-up.",
                )
    return None


def rate_too_high(train: Points, evaluations: Points) -> Finding | None:
    """The loss climbs above where it began while the rate is near its peak."""
    losses = _losses(train)
    if len(losses) < FEWEST:
        return None
    peak = max(range(len(train)), key=lambda i: train[i].get("learning_rate", 0.0))
    curve = smoothed(losses)
    window = max(5, len(losses) // 20)
    start = sum(losses[:3]) / 3
    least = 1.1 * start + 2 * noise(losses[: 3 * window]) / math.sqrt(3)
    for i in range(5, min(len(curve), peak + len(curve) // 4 + 5)):
        if curve[i] > least:
            return Finding(
                "rate-too-high",
                int(train[i]["step"]),
                f"The loss rose from {start:.3f} to {curve[i]:.3f} as the learning rate reached its peak.",
                "Lower the learning rate to a third, or lengthen the warm-up.",
            )
    return None


def divergence(train: Points, evaluations: Points) -> Finding | None:
    """The smoothed loss climbs from its best and stays up to the end."""
    losses = _losses(train)
    if len(losses) < FEWEST:
        return None
    curve = smoothed(losses)
    best = min(range(len(curve)), key=curve.__getitem__)
    # A loss near nothing doubles without meaning anything, so the rise counts against the start as well.
    limit = max(RISE * curve[best], curve[best] + LEAST_RISE * curve[0])
    if curve[-1] <= limit:
        return None
    since = next(i for i in range(len(curve) - 1, best - 1, -1) if curve[i - 1] <= limit)
    return Finding(
        "divergence",
        int(train[since]["step"]),
        f"The loss left its best of {curve[best]:.3f} (step {int(train[best]['step'])}) and ended at {curve[-1]:.3f}.",
        "Lower the learning rate, and use early stopping so that the best checkpoint is kept.",
    )


def plateau(train: Points, evaluations: Points) -> Finding | None:
    """Nothing is gained any more over the second half of the run: its last third is where its first third was.

    What noise alone moves such means by (two standard errors) counts as nothing.
    """
    losses = _losses(train)
    if len(losses) < 2 * FEWEST:
        return None
    middle = len(losses) // 2
    rest = losses[middle:]
    third = len(rest) // 3
    level, last = sum(rest) / len(rest), sum(rest[-third:]) / third
    spread = noise(rest)
    if sum(rest[:third]) / third - last > FLAT * level + 2 * spread * math.sqrt(2 / third):
        return None
    since = _flat_since(smoothed(losses), level, middle, spread)
    return Finding(
        "plateau",
        int(train[since]["step"]),
        f"The loss stays near {level:.3f} from here on, with {len(losses) - since} steps to go.",
        "Fewer epochs would do; if the loss is still high, raise the rank or the learning rate, or adapt more modules.",
    )


def _flat_since(curve: Sequence[float], level: float, middle: int, spread: float) -> int:
    """The first entry from which on the smoothed loss keeps near `level`; trailing means arrive there late."""
    band = FLAT * level + 3 * spread / math.sqrt(max(5, len(curve) // 20))
    since = middle
    while since > len(curve) // 10 and abs(curve[since - 1] - level) <= band:
        since -= 1
    return since


def noise(losses: Sequence[float]) -> float:
    """Standard deviation of a loss around its course, from the median step between neighbours: trends and single
    spikes don't count."""
    steps = sorted(abs(after - before) for before, after in itertools.pairwise(losses))
    return steps[len(steps) // 2] / (0.6745 * math.sqrt(2)) if steps else 0.0


def overfitting(train: Points, evaluations: Points) -> Finding | None:
    """Validation rises over several evaluations while training falls."""
    scores = [(int(point["step"]), point["eval_loss"]) for point in evaluations if "eval_loss" in point]
    if len(scores) <= OVERFIT_EVALUATIONS:
        return None
    best = min(range(len(scores)), key=lambda i: scores[i][1])
    later = [value for _, value in scores[best + 1 :]]
    if len(later) < OVERFIT_EVALUATIONS or not _falls(train, since=scores[best][0]):
        return None
    step, value = scores[best]
    if later[-1] < 1.01 * value:
        return None
    return Finding(
        "overfitting",
        step,
        f"The validation loss was best here ({value:.3f}) and rose to {later[-1]:.3f} while the training loss fell.",
        "Use early stopping or fewer epochs; more varied pairs or a lower rank help too.",
    )


def _falls(train: Points, *, since: int) -> bool:
    losses = [point["loss"] for point in train if point["step"] >= since]
    half = len(losses) // 2
    return half > 0 and sum(losses[half:]) / (len(losses) - half) < sum(losses[:half]) / half


def _losses(train: Points) -> list[float]:
    """Up to the first value that is no number."""
    losses: list[float] = []
    for point in train:
        if not math.isfinite(point["loss"]):
            break
        losses.append(point["loss"])
    return losses


RUNAWAY: tuple[Rule, ...] = (not_finite, rate_too_high, divergence)
RULES: tuple[Rule, ...] = (plateau, overfitting)
