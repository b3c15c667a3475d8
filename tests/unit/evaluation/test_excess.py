"""The bound behind parity, simulated: healthy candidates pass, a three-point defect never does, coverage holds."""

import random

import pytest

from posology.evaluation.domain import PromptParity
from posology.evaluation.statistics.excess import excess, sufficient_prompts

LIMIT = 0.01


def experiment(rng: random.Random, *, prompts: int, noise: float, defect: float) -> list[PromptParity]:
    """64 positions a prompt; the noise of a prompt varies by a factor, alike for candidate and control."""
    counted = []
    for _ in range(prompts):
        level = min(1.0, noise * rng.choice((0.5, 1.0, 1.5)))
        candidate = sum(rng.random() < level + defect for _ in range(64))
        counted.append(PromptParity(64, candidate, 0, sum(rng.random() < level for _ in range(64)), 0))
    return counted


def passed(*, prompts: int, noise: float, defect: float, runs: int) -> float:
    rng = random.Random(1)
    many = (experiment(rng, prompts=prompts, noise=noise, defect=defect) for _ in range(runs))
    return sum(excess(one, confidence=0.95).high < LIMIT for one in many) / runs


def test_healthy_candidates_pass_and_a_defect_of_three_points_never_does() -> None:
    assert passed(prompts=256, noise=0.02, defect=0.0, runs=100) >= 0.97
    assert passed(prompts=256, noise=0.02, defect=0.03, runs=40) == 0


def test_a_defect_at_the_limit_passes_no_more_often_than_the_confidence_allows() -> None:
    assert passed(prompts=64, noise=0.02, defect=LIMIT, runs=300) <= 0.05 + 2.5 * (0.05 * 0.95 / 300) ** 0.5


def test_no_difference_at_all_is_no_certainty_and_one_prompt_shows_nothing() -> None:
    silent = [PromptParity(64, 0, 0, 0, 0)] * 256
    assert 0 < excess(silent, confidence=0.95).high < 0.001
    assert excess(silent[:1], confidence=0.95).high == 1.0


@pytest.mark.parametrize("prompts", [16, 32])
def test_too_few_prompts_are_told_how_many_would_do(prompts: int) -> None:
    measured = excess(experiment(random.Random(2), prompts=prompts, noise=0.05, defect=0.0), confidence=0.95)
    if measured.high >= LIMIT and measured.estimate < LIMIT:
        assert sufficient_prompts(measured, LIMIT, confidence=0.95) > prompts
