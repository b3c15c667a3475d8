"""Findings on loss curves."""

import math
import random

from posology.training.planning.curves import findings

Point = dict[str, float]


def curve(losses: list[float], *, warm_up: int = 10) -> list[Point]:
    count = len(losses)
    rates = [
        min(1.0, (i + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * max(0, i - warm_up) / count)) for i in range(count)
    ]
    return [
        {"step": i + 1, "loss": loss, "learning_rate": rate, "grad_norm": 1.0}
        for i, (loss, rate) in enumerate(zip(losses, rates, strict=True))
    ]


def noisy(shape: list[float], *, seed: int = 0) -> list[float]:
    chance = random.Random(seed)
    return [value * (1 + 0.05 * chance.gauss(0, 1)) for value in shape]


def healthy(count: int = 200) -> list[float]:
    return [0.5 + 2.0 * math.exp(-2 * i / count) for i in range(count)]


def kinds(train: list[Point], evaluations: list[Point] | None = None) -> list[str]:
    return [found.kind for found in findings(train, evaluations or [])]


def test_healthy_curves_of_many_seeds_give_no_finding() -> None:
    for seed in range(50):
        assert kinds(curve(noisy(healthy(), seed=seed))) == []


def test_a_loss_that_is_no_number_is_divergence_at_its_step() -> None:
    losses = [*healthy()[:70], math.nan, *healthy()[71:]]
    found = findings(curve(losses), [])
    assert (found[0].kind, found[0].step) == ("divergence", 71)


def test_a_loss_that_climbs_and_stays_is_divergence() -> None:
    losses = noisy([*healthy(150), *[0.8 + 0.03 * i for i in range(50)]])
    found = [each for each in findings(curve(losses), []) if each.kind == "divergence"]
    assert 150 <= found[0].step <= 175
    assert "Lower the learning rate" in found[0].advice


def test_a_loss_that_rises_with_the_rate_says_that_the_rate_is_too_high() -> None:
    losses = noisy([*[2.5 + 0.15 * i for i in range(25)], *[6.0] * 75])
    found = findings(curve(losses, warm_up=20), [])
    assert found[0].kind == "rate-too-high"
    assert found[0].step < 30


def test_a_flat_second_half_is_a_plateau_from_where_it_begins() -> None:
    losses = [max(1.0, 3.0 - 0.1 * i) for i in range(200)]
    found = [each for each in findings(curve(losses), []) if each.kind == "plateau"]
    assert 18 <= found[0].step <= 40


def test_rising_validation_while_training_falls_is_overfitting_at_the_best_evaluation() -> None:
    evaluations = [{"step": 50.0 * (i + 1), "eval_loss": loss} for i, loss in enumerate([1.5, 1.2, 1.3, 1.5])]
    found = [each for each in findings(curve(noisy(healthy())), evaluations) if each.kind == "overfitting"]
    assert found[0].step == 100
    assert "early stopping" in found[0].advice


def test_one_worse_evaluation_is_not_overfitting() -> None:
    evaluations = [{"step": 50.0 * (i + 1), "eval_loss": loss} for i, loss in enumerate([1.5, 1.2, 1.21])]
    assert kinds(curve(noisy(healthy())), evaluations) == []
