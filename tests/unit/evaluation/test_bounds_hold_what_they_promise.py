"""Coverage, false-pass rates and power of every bound behind a gate; exact sums where possible, else simulation."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multinomial, norm

from posology.evaluation.statistics import power
from posology.evaluation.statistics.binomial import (
    clopper_pearson,
    effective_size,
    lower_bound,
    upper_bound,
)
from posology.evaluation.statistics.paired import clustered_mean, mcnemar, tango

REPEATS = 4000
NOISE = 3 * math.sqrt(0.05 * 0.95 / REPEATS)
"""Three standard errors of a simulated 5% rate."""


@pytest.mark.parametrize("n", [20, 59, 200, 500])
@pytest.mark.parametrize("true", [0.02, 0.5, 0.8, 0.97])
def test_the_exact_bound_of_a_proportion_misses_at_most_as_often_as_it_says(n: int, true: float) -> None:
    chances = binom.pmf(range(n + 1), n, true)
    misses_low = sum(p for k, p in enumerate(chances) if lower_bound(k, n, confidence=0.95) > true)
    misses_high = sum(p for k, p in enumerate(chances) if upper_bound(k, n, confidence=0.95) < true)
    assert max(misses_low, misses_high) <= 0.05 + 1e-9


def test_the_tabled_numbers_come_out() -> None:
    assert upper_bound(1, 200, confidence=0.95) == pytest.approx(0.0235, abs=5e-5)
    assert [k for k in range(20) if upper_bound(k, 500, confidence=0.95) < 0.02][-1] == 4
    assert [k for k in range(20) if upper_bound(k, 1000, confidence=0.95) < 0.02][-1] == 12
    assert lower_bound(170, 200, confidence=0.95) == pytest.approx(0.802, abs=5e-4)
    assert power.successes_needed(200, 0.85, confidence=0.95) == 179
    assert clopper_pearson(0, 50, confidence=0.9)[1] == pytest.approx(0.058, abs=5e-4)
    assert mcnemar(26, 14) < 0.05 < mcnemar(25, 15)


def test_the_tabled_sample_sizes_come_out() -> None:
    sizes = [
        [power.sufficient_for_difference(0, -0.03, share, confidence=0.95, power=p) for p in (0.8, 0.9)]
        for share in (0.05, 0.10, 0.20)
    ]
    assert sizes == [[344, 476], [687, 952], [1374, 1904]]


def test_the_bound_of_a_clustered_proportion_misses_no_more_often_than_it_says() -> None:
    random = np.random.default_rng(1)
    missed = 0
    for _ in range(REPEATS // 4):
        rates = random.beta(8, 2, size=40)  # drugs differ: correlation within a drug about 1/11
        values = (random.random((40, 5)) < rates[:, None]).astype(float)
        clusters = [str(i) for i in range(40) for _ in range(5)]
        flat = values.ravel().tolist()
        size = effective_size(flat, clusters, confidence=0.95)
        missed += lower_bound(sum(flat) / 200 * size, size, confidence=0.95) > 0.8
    assert missed / (REPEATS // 4) <= 0.05 + 2 * NOISE


def test_items_that_stand_alone_keep_their_whole_weight() -> None:
    assert effective_size([1, 0, 1], ["a", "b", "c"], confidence=0.95) == 3
    assert effective_size([1, 0, 1], ["a", "a", "a"], confidence=0.95) == 1


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 9, 100), (1, 9, 44), (0, 3, 50)])
def test_tango_is_the_score_test_with_the_most_likely_nuisance_parameter(gained: int, lost: int, n: int) -> None:
    z = norm.ppf(0.95)
    for delta, sign in zip(tango(gained, lost, n, confidence=0.95), (1, -1), strict=True):
        q = _most_likely_lost(gained, lost, n, delta)
        score = (gained - lost - n * delta) / math.sqrt(n * (2 * q + delta - delta**2))
        assert score == pytest.approx(sign * z, abs=1e-3)


def _most_likely_lost(gained: int, lost: int, n: int, delta: float) -> float:
    def loss(q: float) -> float:
        return -(gained * math.log(q + delta) + lost * math.log(q) + (n - gained - lost) * math.log(1 - 2 * q - delta))

    low, high = max(0.0, -delta) + 1e-12, (1 - delta) / 2 - 1e-12
    return float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x)


def test_tango_knows_little_from_few_items_that_all_agree() -> None:
    low, high = tango(0, 0, 50, confidence=0.95)
    assert low == pytest.approx(-high)
    assert high == pytest.approx(norm.ppf(0.95) ** 2 / (50 + norm.ppf(0.95) ** 2), rel=1e-6)


@pytest.mark.parametrize("changing", [0.06, 0.1, 0.2])
def test_a_model_that_lost_the_whole_margin_passes_no_more_often_than_it_may(changing: float) -> None:
    passed = _pass_rate(n=687, changing=changing, true=-0.03, margin=0.03)
    assert passed <= 0.05 + NOISE


def test_a_model_that_lost_nothing_passes_as_often_as_tabled() -> None:
    assert _pass_rate(n=687, changing=0.10, true=0.0, margin=0.03) >= 0.8 - 3 * math.sqrt(0.16 / REPEATS)


def _pass_rate(*, n: int, changing: float, true: float, margin: float) -> float:
    chances = [(changing + true) / 2, (changing - true) / 2, 1 - changing]
    draws = multinomial.rvs(n, chances, size=REPEATS, random_state=7)
    unique, counts = np.unique(draws[:, :2], axis=0, return_counts=True)
    bounds = [tango(int(g), int(lo), n, confidence=0.95)[0] for g, lo in unique]
    return float(sum(c for b, c in zip(bounds, counts, strict=True) if b > -margin) / REPEATS)


def test_clustered_items_pass_at_the_margin_no_more_often_than_they_may() -> None:
    random = np.random.default_rng(3)
    clusters = [str(i) for i in range(60) for _ in range(4)]
    passed = 0
    for _ in range(REPEATS):
        moves = random.normal(-0.1, 0.15, size=60)  # whole drugs are forgotten together
        values = (moves[:, None] + random.normal(0, 0.3, size=(60, 4))).ravel().tolist()
        passed += clustered_mean(values, clusters, confidence=0.95)[1] > -0.1
    assert passed / REPEATS <= 0.05 + NOISE


def test_the_clustered_bounds_are_those_of_a_bootstrap_by_cluster() -> None:
    random = np.random.default_rng(5)
    values = (random.normal(0, 0.2, size=80)[:, None] + random.normal(0, 0.3, size=(80, 4))).ravel()
    clusters = [str(i) for i in range(80) for _ in range(4)]
    _, low, high = clustered_mean(values.tolist(), clusters, confidence=0.95)
    means = values.reshape(80, 4).mean(axis=1)
    resampled = random.choice(means, size=(20_000, 80)).mean(axis=1)
    assert low == pytest.approx(np.quantile(resampled, 0.05), abs=0.004)
    assert high == pytest.approx(np.quantile(resampled, 0.95), abs=0.004)


def test_one_cluster_proves_nothing() -> None:
    assert clustered_mean([0.0, 0.1], ["a", "a"], confidence=0.95)[1:] == (-1.0, 1.0)


def test_a_sufficient_number_of_items_suffices_and_a_few_less_do_not() -> None:
    n = power.sufficient_for_proportion(0.87, 0.80, confidence=0.95)
    assert power.proportion_power(n, 0.87, 0.80, confidence=0.95) >= 0.8
    assert power.proportion_power(n - 30, 0.87, 0.80, confidence=0.95) < 0.8
    assert power.sufficient_for_proportion(0.79, 0.80, confidence=0.95) == 0


def test_items_that_do_not_change_at_all_suffice_only_when_tango_says_so() -> None:
    n = power.sufficient_for_difference(0.0, -0.10, 0.0, confidence=0.95)
    assert tango(0, 0, n, confidence=0.95)[0] >= -0.10 > tango(0, 0, n - 1, confidence=0.95)[0]
    assert power.detectable_difference(n, 0.0, confidence=0.95) == pytest.approx(0.10, abs=0.004)


def test_the_detectable_rate_is_detected_four_times_in_five() -> None:
    rate = power.detectable_proportion(200, 0.8, confidence=0.95)
    assert power.proportion_power(200, rate, 0.8, confidence=0.95) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_thresholds_at_the_ends_are_detected_always_or_never(threshold: float, expected: float) -> None:
    assert power.detectable_proportion(50, threshold, confidence=0.95) == expected


def test_a_point_estimate_alone_would_pass_a_worse_model_as_often_as_the_design_says() -> None:
    # evidence.md: a true 82% passes "85% of 200" 16% of the time; with the lower bound it hardly ever does more.
    assert binom.sf(169, 200, 0.82) == pytest.approx(0.16, abs=0.01)
    assert binom.sf(power.successes_needed(200, 0.80, confidence=0.95) - 1, 200, 0.80) <= 0.05
