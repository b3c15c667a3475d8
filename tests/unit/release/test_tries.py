"""The k-th use of a suite is decided at a smaller error, so that all tries together stay bounded."""

import random
from statistics import NormalDist

import pytest

from posology.core.release.tries import FRESH_IS_CHEAPER, confidence_of, items_ratio, price

ALPHA = 0.05


@pytest.mark.parametrize("tries", [1, 2, 4, 8, 20])
def test_by_halving_all_tries_together_pass_a_bad_model_less_than_twice_alpha(tries: int) -> None:
    """At the margin each statistic is a standard normal; 8 tries at .95 each would pass 34% of the time."""
    normal, chance = NormalDist(), random.Random(tries)
    bounds = [normal.inv_cdf(confidence_of(k, confidence=1 - ALPHA)) for k in range(1, tries + 1)]
    passed = sum(any(chance.gauss(0, 1) > bound for bound in bounds) for _ in range(20_000)) / 20_000
    assert passed < 2 * ALPHA + 0.005
    assert sum(1 - confidence_of(k, confidence=1 - ALPHA) for k in range(1, tries + 1)) < 2 * ALPHA


def test_without_a_price_eight_tries_pass_a_third_of_the_time() -> None:
    normal, chance = NormalDist(), random.Random(1)
    bound = normal.inv_cdf(1 - ALPHA)
    passed = sum(any(chance.gauss(0, 1) > bound for _ in range(8)) for _ in range(20_000)) / 20_000
    assert 0.31 < passed < 0.37


@pytest.mark.parametrize("budget", [1, 3, 10])
def test_a_budget_spends_alpha_and_no_more(budget: int) -> None:
    spent = sum(1 - confidence_of(k, confidence=1 - ALPHA, tries=budget) for k in range(1, budget + 1))
    assert spent == pytest.approx(ALPHA)
    assert confidence_of(budget + 1, confidence=1 - ALPHA, tries=budget) == 1.0


def test_each_later_try_needs_more_items_and_from_the_fifth_on_fresh_ones_are_cheaper() -> None:
    ratios = [items_ratio(confidence_of(k, confidence=0.95), confidence=0.95) for k in range(1, 8)]
    assert ratios == sorted(ratios)
    assert ratios[0] == pytest.approx(1)
    assert ratios[1] == pytest.approx(1.27, abs=0.01)
    assert next(k for k, ratio in enumerate(ratios, 1) if ratio > FRESH_IS_CHEAPER) == 5
    assert "fresh suite" not in price(4, confidence=0.95)
    assert "fresh suite is the cheaper way" in price(5, confidence=0.95)


def test_what_is_beyond_the_budget_says_that_nothing_can_be_shown() -> None:
    assert "bring fresh items" in price(4, confidence=0.95, tries=3)
