"""How many engines a load asks for, over time: up at once, down late, and no flapping."""

import pytest

from posology.engine import Load
from posology.serving.domain import Autoscaling
from posology.serving.scaling import Stabilization, full, needed

RULE = Autoscaling(most=4, target=5, down_seconds=300)


def queue(*waiting: int, running: int = 8) -> list[Load]:
    return [Load(running, each) for each in waiting]


@pytest.mark.parametrize(
    ("loads", "wanted", "asked"),
    [
        (queue(12), 1, 3),
        (queue(6), 1, 2),
        (queue(5), 1, 1),
        (queue(5, 6), 2, 2),  # 10% more than the target is no reason
        (queue(5, 5, 5), 2, 2),  # one that is told to go is asked a last time
        (queue(0, 4), 2, 1),
        (queue(0, 0, 0), 3, 0),
        ([], 2, 2),  # nobody says anything
        (queue(12), 3, 3),  # two are starting: they will take their part
        (queue(40), 3, 8),
        (queue(0), 2, 1),  # the silent one may be at its target
        (queue(4), 3, 3),
    ],
)
def test_the_queue_says_how_many_engines_are_needed(loads: list[Load], wanted: int, asked: int) -> None:
    assert needed(loads, wanted=wanted, target=5) == asked


def test_no_engine_goes_while_the_others_could_not_run_what_runs() -> None:
    busy = [Load(6, 0), Load(7, 0)]
    assert needed(busy, wanted=2, target=5, full=8) == 2
    assert needed(busy, wanted=2, target=5, full=16) == 1
    assert needed([Load(3, 0), Load(4, 0)], wanted=2, target=5, full=8) == 1


def test_what_an_engine_can_run_is_seen_when_others_wait_for_it() -> None:
    assert full([Load(3, 0)], 0) == 0
    assert full([Load(8, 2), Load(7, 1), Load(5, 0)], 0) == 8
    assert full([Load(4, 2)], 8) == 4  # longer requests than before
    assert full([Load(4, 0)], 1) == 4  # what one runs, it can run
    assert full([Load(3, 0)], 8) == 8
    assert full([Load(0, 4)], 8) == 8  # not begun yet


def follow(asked: list[tuple[float, int]], *, rule: Autoscaling = RULE, wanted: int = 1) -> list[int]:
    """What is wanted after each of (second, engines that load asks for)."""
    lately, found = Stabilization(wanted, at=0), []
    for at, needs in asked:
        wanted = lately.settle(needs, wanted=wanted, rule=rule, fewest=1, at=at)
        found.append(wanted)
    return found


def test_it_goes_up_at_once_and_never_above_the_most() -> None:
    assert follow([(15, 1), (30, 3), (45, 9)]) == [1, 3, 4]


def test_it_goes_down_when_fewer_were_enough_for_the_whole_window() -> None:
    assert follow([(15, 3), (30, 1), (200, 1), (314, 1), (315, 1)]) == [3, 3, 3, 3, 1]


def test_it_goes_down_to_the_most_that_was_asked_for_and_never_below_the_fewest() -> None:
    assert follow([(15, 4), (100, 2), (200, 0), (316, 0), (401, 0)]) == [4, 4, 4, 2, 1]


def test_a_load_that_comes_and_goes_does_not_make_it_flap() -> None:
    asked = [(15.0 * look, 3 if look % 4 == 1 else 0) for look in range(1, 60)]
    assert set(follow(asked)) == {3}


def test_a_service_that_starts_again_takes_nothing_away_before_it_has_looked_for_the_whole_window() -> None:
    assert follow([(0, 0), (15, 0), (299, 0), (300, 0)], wanted=3) == [3, 3, 3, 1]


def test_without_a_window_it_goes_down_at_once() -> None:
    assert follow([(15, 3), (30, 1)], rule=Autoscaling(most=4, down_seconds=0)) == [3, 1]
