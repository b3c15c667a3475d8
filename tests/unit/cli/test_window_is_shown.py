"""The doses of a sweep as a picture, a table and a page: intervals, the Pareto line, and the word *selected*."""

import re
from typing import Any

import pytest

from posology.cli.report import page, window
from posology.v1alpha1 import evaluation_pb2
from posology.v1alpha1 import orchestrator_pb2 as pb

HOSTILE = "<script>alert(1)</script>"


def difference(estimate: float, *, reach: float = 0.03, sufficient: int = 0) -> evaluation_pb2.DoseEstimate:
    return evaluation_pb2.DoseEstimate(
        n=200, estimate=estimate, low=estimate - reach, high=estimate + reach, sufficient_n=sufficient
    )


def judged(number: int, gain: float, loss: float, **more: Any) -> evaluation_pb2.JudgedDose:
    return evaluation_pb2.JudgedDose(
        number=number, label=f"rank {2**number}", intensity=0.1 * number, accuracy=0.4 + gain, gain=difference(gain),
        side_effects={"everyday": difference(loss), "refusal/safe-refusal": difference(0.0)}, **more,
    )  # fmt: skip


def message(**more: Any) -> pb.Window:
    doses = [
        pb.TriedDose(
            number=n, label=f"rank {2**n}", run=f"namespaces/default/fineTuneRuns/demo-dose-{n}",
            phase=pb.FineTuneRun.SUCCEEDED,
            dose=pb.Dose(rank=2**n), validation_loss=2.0 / n, seconds=60.0 * n,
        )
        for n in (1, 2, 3, 4)
    ]  # fmt: skip
    comparison = evaluation_pb2.DoseComparison(
        doses=[
            judged(1, 0.10, -0.01, versus_best=difference(-0.2, sufficient=900), rival="rank 8"),
            judged(2, 0.29, -0.01, versus_best=difference(-0.01, reach=0.005), rival="rank 8"),
            judged(3, 0.30, -0.02, dominated=False),
            evaluation_pb2.JudgedDose(number=4, label="rank 16", out=HOSTILE),
        ],
        best=3, recommended=2, sentence="rank 4 is recommended", margin=0.02, max_drop=0.03, confidence=0.95,
    )  # fmt: skip
    return pb.Window(doses=doses, comparison=comparison, sentence="rank 4 is recommended; 4 doses took 10 min", **more)


def test_the_page_names_dose_reason_and_cost_first_and_says_that_figures_were_selected() -> None:
    html = page.render_window("namespaces/default/fineTuneRuns/demo", window.of(message()))
    assert "rank 4 is recommended; 4 doses took 10 min" in html
    assert "Selected on development items: these figures chose a dose and prove nothing about it" in html
    assert html.index("rank 4 is recommended") < html.index("<svg") < html.index("<table")
    assert "n that would have shown it to be as good: 900" in html
    assert not re.search(r"<script|https?://(?!www.w3.org)", html)
    assert "&lt;script&gt;" in html


def test_the_picture_has_its_four_panels_and_a_line_of_its_own_for_ranks() -> None:
    svg = str(window.picture(window.of(message())))
    for title in ("benefit against side effect", "benefit against intensity", "validation loss", "cost, minutes"):
        assert title in svg
    assert "rank r" in svg
    assert "Pareto line" in svg
    assert svg == str(window.picture(window.of(message())))


def test_a_sweep_under_way_has_its_table_and_no_picture() -> None:
    shown = window.of(
        pb.Window(
            doses=[pb.TriedDose(number=1, label="rate 0.1", phase=pb.FineTuneRun.RUNNING), pb.TriedDose(number=2)]
        )
    )
    assert window.picture(shown) == ""
    assert window.rows(shown)[0][-1] == "running"
    assert "<table" in page.render_window("demo", shown)


def test_a_dose_without_a_validation_loss_or_side_effect_is_drawn_all_the_same() -> None:
    plain = message()
    for dose in plain.doses:
        dose.ClearField("validation_loss")
        dose.ClearField("dose")
    for one in plain.comparison.doses:
        one.side_effects.clear()
    svg = str(window.picture(window.of(plain)))
    assert "validation loss" not in svg
    assert "benefit against intensity" in svg


def test_rows_say_what_each_dose_is() -> None:
    standing = [row[-1] for row in window.rows(window.of(message()))]
    assert standing == ["", "recommended", "highest benefit", f"out: {HOSTILE}"]


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ([(0, 0), (1, 1)], [(1, 1)]),
        ([(0, 2), (1, 1), (2, 0), (0.5, 0.5)], [(0, 2), (1, 1), (2, 0)]),
        ([(1, 1), (1, 1)], [(1, 1)]),
        ([(0, 1), (1, 1)], [(1, 1)]),
    ],
)
def test_the_pareto_line_holds_what_nothing_beats(points: list[tuple[float, float]], line: list[Any]) -> None:
    assert window.pareto(points) == line
