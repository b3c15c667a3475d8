"""Every run that ships is one that the contract takes."""

import re
from pathlib import Path

import pytest

from posology.client.specfile import RunFile, load_run
from posology.core import schema
from posology.core.errors import InvalidInput
from posology.curation.sources import FORMATS
from posology.evaluation import gates
from posology.evaluation.admission import not_taken
from posology.evaluation.convert import policy_from_spec
from posology.evaluation.statistics.binomial import lower_bound
from posology.evaluation.statistics.paired import tango
from posology.v1alpha1 import curation_pb2

ALL = ("demo.yaml", "demo-no-general.yaml", "real-labels.yaml", "gemma-270m.yaml", "clinical-8b.yaml")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> RunFile:
    path = EXAMPLES / name
    wanted = set(re.findall(r"\$\{(\w+)\}", path.read_text()))
    return load_run(path, parameters=dict.fromkeys(wanted, "/somewhere"))


@pytest.mark.parametrize("name", ALL)
def test_a_shipped_run_asks_for_nothing_that_is_not_built(name: str) -> None:
    spec = load(name).spec
    schema.apply_defaults(spec)
    evaluation = {"evaluation": schema.to_mapping(spec.evaluation)}
    assert not list(gates.violations(policy_from_spec(evaluation, {})))
    assert not not_taken(evaluation["evaluation"])
    assert {curation_pb2.Source.Format.Name(source.format) for source in spec.curation.sources} <= FORMATS.keys()


def test_what_serves_on_gpus_is_evaluated_on_gpus() -> None:
    spec = load("clinical-8b.yaml").spec
    spec.evaluation.resources.gpus = 0
    with pytest.raises(InvalidInput, match=r"serving\.gpus needs evaluation\.resources\.gpus"):
        schema.validate(spec)
    spec.serving.gpus = 0
    schema.validate(spec)


def test_the_second_run_differs_from_the_demo_in_general_data_and_dose_alone() -> None:
    first, second = load("demo.yaml").spec, load("demo-no-general.yaml").spec
    assert first.curation.HasField("general")
    assert not second.curation.HasField("general")
    for spec in (first, second):
        spec.curation.ClearField("general")
        spec.curation.ClearField("preferences")
    assert first.curation == second.curation
    assert list(first.evaluation.suites) == list(second.evaluation.suites)


def test_every_gate_names_a_suite_of_its_run() -> None:
    for name in ALL:
        evaluation = load(name).spec.evaluation
        assert {gate.suite for gate in evaluation.gates} <= {suite.name for suite in evaluation.suites}


def test_the_demo_has_items_enough_to_prove_its_thresholds() -> None:
    """At 65% right and with 4% of what it knew lost a model passes; margins of 3 points are beyond so few items."""
    open_book, everyday = (
        len((EXAMPLES / "suites" / f"{name}.jsonl").read_text().splitlines()) for name in ("open-book", "everyday")
    )
    assert lower_bound(0.65 * open_book, open_book, confidence=0.95) > 0.55
    for items in (everyday, 120, 117):
        lost = round(0.04 * items)
        assert tango(0, lost, items, confidence=0.95)[0] > -0.10
        assert tango(0, lost, items, confidence=0.95)[0] < -0.03
