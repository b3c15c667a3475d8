"""Intervals are drawn to scale, within the drawing, with the line that they must lie beyond."""

import re

from posology.cli.report import intervals


def numbers(drawing: str, name: str) -> list[float]:
    return [float(found) for found in re.findall(rf'{name}="(-?[\d.]+)"', drawing)]


def test_a_share_keeps_to_its_axis_and_order() -> None:
    axis = intervals.axis_for([0.7, 0.8, 0.9], floor=0.0, ceiling=1.0)
    assert intervals.PAD <= axis.x(0.7) < axis.x(0.8) < axis.x(0.9) <= intervals.WIDTH - intervals.PAD


def test_what_lies_outside_is_drawn_at_the_edge() -> None:
    axis = intervals.Axis(0.0, 1.0)
    assert axis.x(-3) == intervals.PAD
    assert axis.x(7) == intervals.WIDTH - intervals.PAD


def test_a_difference_shows_its_margin_and_no_difference() -> None:
    drawn = str(intervals.difference(-0.02, 0.01, 0.04, limit=-0.03, tone="good"))
    assert 'class="limit"' in drawn
    assert 'class="zero"' in drawn
    assert "-3.0%" in drawn
    assert 'aria-label="1.0% (-2.0% to 4.0%)"' in drawn


def test_a_failing_interval_lies_left_of_its_line() -> None:
    drawn = str(intervals.share(0.4, 0.5, 0.6, limit=0.8, least=0.85, tone="bad"))
    line = float(re.search(r'<line class="limit" x1="([\d.]+)"', drawn)[1])  # type: ignore[index]
    dot = numbers(drawn, "cx")[0]
    assert dot < line
    assert 'class="least"' in drawn


def test_a_difference_without_room_still_has_an_axis() -> None:
    drawn = str(intervals.difference(0.0, 0.0, 0.0, limit=None, tone="bad"))
    assert all(0 <= x <= intervals.WIDTH for x in numbers(drawn, "x1") + numbers(drawn, "cx"))


def test_two_models_share_one_axis() -> None:
    bars = [intervals.Bar(0.2, 0.3, 0.4, "base"), intervals.Bar(0.7, 0.8, 0.9, "tuned")]
    drawn = str(intervals.pair(bars))
    base, tuned = numbers(drawn, "cx")
    assert base < tuned
