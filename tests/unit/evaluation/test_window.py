"""The rule of the therapeutic window: what it recommends, what it leaves out, and how often it is wrong."""

import math

import pytest
from support.dose_sweeps import SCENES, rates

from posology.evaluation.domain import Paired
from posology.evaluation.window import Dose, Rule, Window, judge

REPEATS = 80


def scored(number: int, right: int, *, n: int = 400, base: int = 160, intensity: float = 0.0, lost: int = 0) -> Dose:
    """A dose that is right on the first `right` of n items; `lost` of 200 side-effect items are lost."""
    pairs = tuple(Paired(f"i{i}", f"i{i}", int(i < base), int(i < right)) for i in range(n))
    effects = tuple(Paired(f"s{i}", f"s{i}", 1, int(i >= lost)) for i in range(200))
    return Dose(number, f"dose {number}", intensity or 0.01 * number, pairs, {"everyday": effects})


def window(*doses: Dose) -> Window:
    return judge(doses, Rule())


def test_the_lowest_intensity_that_is_as_good_as_every_other_is_recommended() -> None:
    found = window(scored(1, 300), scored(2, 398), scored(3, 400))
    assert (found.best, found.recommended) == (3, 2)
    assert "dose 2 is recommended" in found.sentence
    assert "within 2 points of every other" in found.sentence


def test_intensity_orders_the_doses_not_their_numbers() -> None:
    found = window(scored(1, 400, intensity=0.3), scored(2, 400, intensity=0.1))
    assert found.recommended == 2
    assert found.dose(1).dominated
    assert not found.dose(2).dominated


def test_a_dose_that_is_shown_to_lose_too_much_is_out_and_says_by_how_much() -> None:
    found = window(scored(1, 390), scored(2, 400, lost=40))
    assert found.recommended == 1
    assert "everyday is shown to lose more than 3.0%" in found.dose(2).out


def test_a_loss_that_is_not_shown_leaves_a_dose_in() -> None:
    assert window(scored(1, 300), scored(2, 400, lost=6)).recommended == 2


def test_the_best_one_is_not_recommended_where_another_may_be_better_by_more_than_the_margin() -> None:
    # Each is right where the other is wrong: nobody knows which is the better one.
    one = tuple(Paired(f"i{i}", f"i{i}", 0, int(i % 2 == 0)) for i in range(200))
    other = tuple(Paired(f"i{i}", f"i{i}", 0, int(i % 2 == 1 or i == 0)) for i in range(200))
    found = window(Dose(1, "a", 0.1, one), Dose(2, "b", 0.2, other))
    assert (found.best, found.recommended) == (2, 0)
    assert found.sufficient > 200
    assert f"about {found.sufficient:,} development items would have sufficed" in found.sentence


def test_a_dose_without_a_shown_gain_is_no_dose() -> None:
    found = window(scored(1, 161), scored(2, 160))
    assert found.recommended == 0
    assert "is a gain of more than 0 points shown" in found.sentence
    assert found.sufficient > 400


def test_doses_without_scores_are_out_with_their_reason_and_the_others_go_on() -> None:
    found = window(scored(1, 400), Dose(2, "dose 2", stopped="stopped early: its validation loss diverged"))
    assert found.recommended == 1
    assert found.dose(2).out.startswith("stopped early")
    nothing = window(Dose(1, "dose 1", stopped="failed"), Dose(2, "dose 2"))
    assert (nothing.best, nothing.recommended) == (0, 0)
    assert "each is out" in nothing.sentence


def test_items_that_move_together_count_as_their_clusters() -> None:
    def clustered(share: int) -> tuple[Paired, ...]:
        return tuple(Paired(f"i{i}", f"c{i // 50}", 0, int((i // 50) % 8 < share)) for i in range(400))

    found = judge([Dose(1, "a", 0.1, clustered(6)), Dose(2, "b", 0.2, clustered(7))], Rule())
    difference = found.dose(1).versus_best
    assert difference is not None
    assert difference.low < -0.25  # one cluster of eight differs; 50 items alone would say -15 points


@pytest.mark.parametrize("name", sorted(SCENES))
@pytest.mark.parametrize(("n", "agree", "cluster"), [(200, 0.95, 1), (150, 0.97, 5)])
def test_the_rule_picks_a_dose_that_is_too_weak_no_more_often_than_it_says(
    name: str, n: int, agree: float, cluster: int
) -> None:
    truths = SCENES[name]
    found = rates(truths, n, agree=agree, cluster=cluster, repeats=REPEATS)
    # Each dose that is too weak passes with a chance of at most 5%.
    weak = sum(max(truths) - truth > 0.02 for truth in truths)
    noise = 3 * math.sqrt(0.05 * 0.95 / REPEATS)
    assert found.worse <= 0.05 * weak + (noise if weak else 0)
    if name == "no dose does anything":
        assert found.useless <= 0.05 * len(truths) + noise


def test_with_enough_items_a_plateau_gets_its_recommendation() -> None:
    plateau = SCENES["plateau: all equally good"]
    few = rates(plateau, 100, agree=0.95, repeats=40)
    many = rates(plateau, 800, agree=0.97, repeats=40)
    assert many.nothing < 0.05 < few.nothing
