"""Stricter: the same suites, and every floor, margin, confidence and n at least as demanding; else not comparable."""

import random
from dataclasses import replace

import pytest

from posology.core.release.domain import DecidedGate, as_strict, demands_met

SUITES = ("sha256:a", "sha256:b", "")
FLOOR, CEILING = "atLeast", "maxDrop"


def drawn(chance: random.Random) -> tuple[DecidedGate, ...]:
    return tuple(
        DecidedGate(
            chance.choice(("accuracy", "regression")),
            chance.choice(SUITES),
            {chance.choice((FLOOR, CEILING)): chance.choice((0.1, 0.2, 0.3))},
            chance.choice((0.95, 0.975)),
            chance.choice((100, 200)),
        )
        for _ in range(chance.randint(1, 3))
    )


def test_every_policy_is_as_strict_as_itself_and_the_order_carries_over() -> None:
    chance = random.Random(7)
    policies = [drawn(chance) for _ in range(60)]
    strict = {(i, j) for i, a in enumerate(policies) for j, b in enumerate(policies) if as_strict(a, b)}
    assert all((i, i) in strict for i in range(len(policies)))
    assert all((i, k) in strict for i, j in strict for m, k in strict if j == m)
    assert len(strict) > len(policies)


BEFORE = (
    DecidedGate("accuracy", "sha256:a", {FLOOR: 0.6}, 0.95, 200),
    DecidedGate("parity", "", {"maxKl": 0.01}, 0, 0),
)


@pytest.mark.parametrize(
    "change",
    [
        {"demands": {FLOOR: 0.59}},
        {"demands": {}},
        {"demands": {CEILING: 0.1}},
        {"demands": {FLOOR: float("nan")}},
        {"suite": "sha256:b"},
        {"kind": "gain"},
        {"confidence": 0.94},
        {"n": 199},
    ],
)
def test_one_thing_looser_or_other_is_not_as_strict(change: dict[str, object]) -> None:
    assert not as_strict((replace(BEFORE[0], **change), BEFORE[1]), BEFORE)  # type: ignore[arg-type]


def test_a_gate_that_is_missing_or_another_suite_beside_is_not_as_strict() -> None:
    assert not as_strict(BEFORE[:1], BEFORE)
    assert not as_strict((), BEFORE)
    assert not as_strict((*BEFORE, replace(BEFORE[0], suite="sha256:c")), BEFORE)


def test_more_demanding_gates_are_as_strict() -> None:
    assert as_strict((replace(BEFORE[0], demands={FLOOR: 0.7}, n=500, confidence=0.99), BEFORE[1]), BEFORE)
    assert as_strict((*BEFORE, replace(BEFORE[0], kind="gain", demands={"minGain": 0.1})), BEFORE)


@pytest.mark.parametrize("stated", [float("nan"), -1.0, 0.59])
def test_a_floor_is_not_met_by_less_or_by_no_number(stated: float) -> None:
    assert not demands_met({FLOOR: 0.6}, {FLOOR: stated})


@pytest.mark.parametrize("stated", [float("nan"), float("inf"), 0.2])
def test_a_ceiling_is_not_met_by_more_or_by_no_number(stated: float) -> None:
    assert not demands_met({CEILING: 0.1}, {CEILING: stated})
