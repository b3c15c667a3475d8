"""Loss curves of many kinds, each over many seeds: the finding that belongs to it, and no other."""

import math
import random
from collections.abc import Callable

import pytest

from posology.training.planning.curves import findings

Shape = Callable[[float], float]
COUNT = 240
SEEDS = range(20)


def falling(t: float) -> float:
    """From 2.5 towards 0.75 over the run, still falling at its end."""
    return 0.5 + 2.0 * math.exp(-2 * t)


def diverges_late(t: float) -> float:
    return falling(t) if t < 0.7 else falling(0.7) + 6 * (t - 0.7)


def diverges_and_saturates(t: float) -> float:
    """Climbs in the middle and stays flat up there: flat, but no plateau."""
    return falling(t) if t < 0.4 else min(6.0, falling(0.4) + 40 * (t - 0.4))


def diverges_twice(t: float) -> float:
    return diverges_and_saturates(t) if t < 0.8 else 6.0 + 20 * (t - 0.8)


def rises_with_the_rate(t: float) -> float:
    return min(6.0, 2.5 + 30 * t)


def spikes_and_recovers(t: float) -> float:
    return falling(t) + (1.5 if 0.5 < t < 0.52 else 0.0)


def flat_from_early(t: float) -> float:
    return max(1.0, 2.5 - 15 * t)


def never_learns(t: float) -> float:
    return 2.5


def slow_and_steady(t: float) -> float:
    return 2.5 - 0.6 * t


def steps_down_each_epoch(t: float) -> float:
    return [2.4, 1.7, 1.2, 0.8][min(3, int(4 * t))]


def falls_to_its_end(t: float) -> float:
    """Half a cosine: flat at the very end because the rate is."""
    return 1.5 + math.cos(math.pi * t)


def memorises(t: float) -> float:
    return 2.5 * math.exp(-6 * t)


def flat_then_falls(t: float) -> float:
    """A long warm-up of nothing, then learning: early flatness is no plateau."""
    return 2.5 if t < 0.3 else 2.5 - 2 * (t - 0.3)


def recovers_from_a_bad_start(t: float) -> float:
    """Rises during warm-up by less than a tenth, then falls."""
    return 2.5 + 3 * t if t < 0.05 else 2.65 * math.exp(-1.5 * (t - 0.05))


def settles_above_its_best(t: float) -> float:
    """Rises a little from its best and lies flat there, too little to be a divergence: what is left is a plateau."""
    return max(1.0, 2.5 - 15 * t) + (0.08 if t > 0.5 else 0.0)


EXPECTED: dict[Shape, list[str]] = {
    falling: [],
    diverges_late: ["divergence"],
    diverges_and_saturates: ["divergence"],
    diverges_twice: ["divergence"],
    rises_with_the_rate: ["rate-too-high"],
    spikes_and_recovers: [],
    flat_from_early: ["plateau"],
    never_learns: ["plateau"],
    slow_and_steady: [],
    steps_down_each_epoch: [],
    falls_to_its_end: [],
    memorises: [],
    flat_then_falls: [],
    recovers_from_a_bad_start: [],
    settles_above_its_best: ["plateau"],
}


def curve(shape: Shape, *, seed: int, noise: float, count: int = COUNT) -> list[dict[str, float]]:
    chance = random.Random(seed)
    warm_up = count // 20
    return [
        {
            "step": i + 1,
            "loss": shape(i / count) * (1 + noise * chance.gauss(0, 1)),
            "learning_rate": min(1.0, (i + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * i / count)),
            "grad_norm": 1.0,
        }
        for i in range(count)
    ]


def kinds(train: list[dict[str, float]], evaluations: list[dict[str, float]] | None = None) -> list[str]:
    return [found.kind for found in findings(train, evaluations or [])]


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("shape", EXPECTED, ids=lambda shape: shape.__name__)
def test_every_kind_of_curve_gets_its_own_finding_and_no_other(shape: Shape, noise: float) -> None:
    wrong = [seen for seed in SEEDS if (seen := kinds(curve(shape, seed=seed, noise=noise))) != EXPECTED[shape]]
    assert len(wrong) <= len(SEEDS) // 20, wrong[:3]


@pytest.mark.parametrize("count", [60, 1200])
@pytest.mark.parametrize("shape", EXPECTED, ids=lambda shape: shape.__name__)
def test_short_and_long_runs_read_alike(shape: Shape, count: int) -> None:
    wrong = [
        seen for seed in SEEDS if (seen := kinds(curve(shape, seed=seed, noise=0.03, count=count))) != EXPECTED[shape]
    ]
    assert len(wrong) <= len(SEEDS) // 20, wrong[:3]


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
@pytest.mark.parametrize("shape", [falling, never_learns, diverges_late], ids=lambda shape: shape.__name__)
def test_what_is_no_number_is_one_finding_at_its_step(shape: Shape, name: str) -> None:
    train = curve(shape, seed=0, noise=0.05)
    for point in train[200:]:
        point[name] = math.nan
    [found] = findings(train, [])
    assert (found.kind, found.step) == ("divergence", 201)


@pytest.mark.parametrize(
    ("evaluations", "expected"),
    [
        ([1.5, 1.2, 1.3, 1.5], ["overfitting"]),
        ([1.5, 1.2, 1.25, 1.22, 1.4], ["overfitting"]),
        ([1.5, 1.2, 1.21], []),
        ([1.5, 1.2, 1.3, 1.1], []),
        ([1.5, 1.3, 1.2, 1.1, 1.0], []),
        ([1.2, 1.2, 1.2, 1.2], []),
    ],
)
def test_validation_that_rises_and_stays_is_overfitting(evaluations: list[float], expected: list[str]) -> None:
    points = [{"step": 40.0 * (i + 1), "eval_loss": loss} for i, loss in enumerate(evaluations)]
    assert kinds(curve(falling, seed=1, noise=0.05), points) == expected


def test_a_run_that_diverged_did_not_overfit() -> None:
    points = [{"step": 60.0 * (i + 1), "eval_loss": loss} for i, loss in enumerate([1.5, 1.2, 3.0, 6.0])]
    assert kinds(curve(diverges_and_saturates, seed=1, noise=0.05), points) == ["divergence"]
