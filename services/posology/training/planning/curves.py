"""What loss curves say: each finding names its step and what to do. Never a gate: nothing ships on training loss."""

import math
from collections.abc import Callable, Mapping, Sequence

from posology.training.domain import Finding

Points = Sequence[Mapping[str, float]]
Rule = Callable[[Points, Points], Finding | None]

RISE = 1.25
"""A smoothed loss this many times its best is a rise, not noise."""
FLAT = 0.01
"""A relative gain below this over a third of the run is none."""
OVERFIT_EVALUATIONS = 2
"""Evaluations in a row above the best before it is called overfitting."""
FEWEST = 20
"""Curves shorter than this many steps are too noisy to read."""


def findings(train: Points, evaluations: Points) -> list[Finding]:
    """All that the rules find.

    `train` holds {step, loss, learning_rate, grad_norm} per optimiser step, `evaluations` {step, eval_loss}.
    """
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
    start = sum(losses[:3]) / 3
    curve = smoothed(losses)
    for i in range(5, min(len(curve), peak + len(curve) // 4 + 5)):
        if curve[i] > 1.1 * start:
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
    above = [i for i in range(best, len(curve)) if curve[i] > RISE * curve[best]]
    if not above or above[-1] != len(curve) - 1:
        return None
    since = next(i for i in above if all(curve[j] > RISE * curve[best] for j in range(i, len(curve))))
    return Finding(
        "divergence",
        int(train[since]["step"]),
        f"The loss left its best of {curve[best]:.3f} (step {int(train[best]['step'])}) and ended at {curve[-1]:.3f}.",
        "Lower the learning rate, and use early stopping so that the best checkpoint is kept.",
    )


def plateau(train: Points, evaluations: Points) -> Finding | None:
    """Nothing is gained any more from before the middle of the run on."""
    losses = _losses(train)
    if len(losses) < 2 * FEWEST:
        return None
    curve = smoothed(losses)
    final = min(curve[-len(curve) // 3 :])
    for i in range(len(curve) // 10, len(curve) // 2):
        if curve[i] - final < FLAT * max(curve[i], 1e-9):
            return Finding(
                "plateau",
                int(train[i]["step"]),
                f"The loss stays near {curve[i]:.3f} from here on, with {len(curve) - i} steps to go.",
                "Fewer epochs would do; if the loss is still high, raise the rank or the learning rate, "
                "or adapt more modules.",
            )
    return None


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


RULES: tuple[Rule, ...] = (not_finite, rate_too_high, divergence, plateau, overfitting)
