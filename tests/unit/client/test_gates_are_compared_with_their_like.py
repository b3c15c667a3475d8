"""A row of a comparison holds one gate's measure: a level never stands beside a gain, and no gate is lost."""

from posology.client import gate_table
from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict


def gate(kind: str, estimate: float, *, metric: str = "accuracy", paired: bool = False, **demands: float) -> GateResult:
    made = GateResult(suite="mcq", metric=metric, kind=kind, estimate=estimate, demands=demands, method="exact")
    if paired:
        made.details.update({"base": 0.5, "tuned": 0.9})
    return made


def shown(*verdicts: Verdict | None) -> list[tuple[str, tuple[float | None, ...]]]:
    return [
        (row.label, tuple(gate.estimate if gate else None for gate in row.gates)) for row in gate_table.rows(verdicts)
    ]


def test_a_level_and_a_gain_of_one_suite_are_two_rows_in_any_order() -> None:
    level, gain = gate("accuracy", 0.871, lowerBoundAtLeast=0.8), gate("gain", 0.396, paired=True, minGain=0.1)
    assert shown(Verdict(gates=[level, gain]), Verdict(gates=[gain, level])) == [
        ("mcq accuracy, level", (0.871, 0.871)),
        ("mcq accuracy, change (gain)", (0.396, 0.396)),
    ]


def test_a_gain_and_a_loss_that_is_bounded_are_two_rows() -> None:
    both = Verdict(gates=[gate("gain", 0.1, minGain=0.0), gate("regression", 0.1, maxDrop=0.1), gate("rival", 0.2)])
    assert len(shown(both, both)) == 3


def test_a_gate_that_one_run_lacks_is_a_dash_and_no_other_gate() -> None:
    level, gain = gate("accuracy", 0.871, atLeast=0.8), gate("gain", 0.396, minGain=0.1)
    assert [values for _, values in shown(Verdict(gates=[level]), Verdict(gates=[gain]), None)] == [
        (0.871, None, None),
        (None, 0.396, None),
    ]


def test_the_same_measure_under_another_demand_stays_on_one_row() -> None:
    least, bound = gate("accuracy", 0.8, atLeast=0.7), gate("accuracy", 0.9, lowerBoundAtLeast=0.7)
    assert shown(Verdict(gates=[least]), Verdict(gates=[bound])) == [("mcq accuracy, level", (0.8, 0.9))]


def test_two_gates_of_one_kind_are_told_apart_by_what_they_demand() -> None:
    least, bound = gate("accuracy", 0.8, atLeast=0.7), gate("accuracy", 0.9, lowerBoundAtLeast=0.7)
    rows = shown(Verdict(gates=[least, bound]), Verdict(gates=[bound]))
    assert [values for _, values in rows] == [(0.8, None), (0.9, 0.9)]
    assert "atLeast" in rows[0][0]


def test_gates_that_differ_in_their_limit_alone_are_all_there() -> None:
    one, other = gate("gain", 0.3, minGain=0.1), gate("gain", 0.3, minGain=0.2)
    assert [values for _, values in shown(Verdict(gates=[one, other]), Verdict(gates=[one]))] == [
        (0.3, 0.3),
        (0.3, None),
    ]


def test_an_early_verdict_that_names_no_kind_says_by_its_numbers_what_it_measures() -> None:
    old = Verdict(gates=[gate("", 0.871), gate("", 0.396, paired=True)])
    assert [label for label, _ in shown(old)] == ["mcq accuracy, level", "mcq accuracy, change"]


def test_what_could_not_be_measured_shows_no_number() -> None:
    assert gate_table.measured(GateResult(suite="mcq", estimate=0.02, n=30)) == ""
    assert gate_table.measured(gate("gain", 0.396)).startswith("0.396 [")
