"""The doses of a sweep: a list or a grid, what each changes in the recipe, and what is wrong with one."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from posology.core import doses, schema
from posology.core.errors import InvalidInput
from posology.v1alpha1 import orchestrator_pb2 as pb

SUITES = [
    {"name": "holdout", "uri": "file:/h"},
    {"name": "task", "uri": "file:/t", "development": "BENEFIT"},
    {"name": "rest", "uri": "file:/r", "development": "SIDE_EFFECT"},
]


def spec_of(sweep: str, **changes: Any) -> dict[str, Any]:
    written: dict[str, Any] = {
        "baseModel": {"uri": "file:/base"},
        "curation": {"sources": [{"uri": "file:/s", "format": "SPL"}], "general": {"uri": "file:/g"}, "pairs": 10},
        "training": {"sft": {"rank": 16, "maxSteps": 100}},
        "evaluation": {"suites": SUITES, "gates": [{"suite": "holdout", "atLeast": 0.5}]},
        "sweep": yaml.safe_load(sweep),
    } | changes
    message = schema.parse(pb.FineTuneRunSpec, written)
    schema.apply_defaults(message)
    schema.validate(message, at="spec")
    return schema.to_mapping(message)


def wrong(spec: Mapping[str, Any]) -> dict[str, str]:
    return {each.field: each.description for each in doses.violations(spec)}


def test_a_grid_is_every_combination_and_the_last_field_varies_fastest() -> None:
    spec = spec_of("{grid: {learningRate: [0.0001, 0.001], rank: [4, 8]}}")
    assert wrong(spec) == {}
    assert [doses.label(dose) for dose in doses.doses_of(spec)] == [
        "rank 4, rate 0.0001", "rank 4, rate 0.001", "rank 8, rate 0.0001", "rank 8, rate 0.001",
    ]  # fmt: skip


def test_a_dose_changes_what_it_names_and_alpha_follows_its_rank() -> None:
    spec = spec_of("{doses: [{rank: 4, targetModules: 'q_proj, v_proj', generalShare: 0.2}, {epochs: 2}]}")
    first, second = (doses.dosed(spec, dose) for dose in doses.doses_of(spec))
    assert first["training"]["sft"]["rank"] == 4
    assert "alpha" not in first["training"]["sft"]
    assert first["training"]["sft"]["targetModules"] == ["q_proj", "v_proj"]
    assert first["training"]["sft"]["maxSteps"] == 100
    assert first["curation"]["general"]["share"] == 0.2
    assert "sweep" not in first
    assert second["training"]["sft"]["epochs"] == 2
    assert "maxSteps" not in second["training"]["sft"]
    assert spec["training"]["sft"]["maxSteps"] == 100


def test_a_share_of_zero_is_a_dose_too() -> None:
    spec = spec_of("{grid: {generalShare: [0.0, 0.08]}}")
    assert [dose["generalShare"] for dose in doses.doses_of(spec)] == [0.0, 0.08]
    assert doses.heaviest(spec)["curation"]["general"]["share"] == 0.08


def test_the_heaviest_dose_is_what_preflight_looks_at() -> None:
    spec = spec_of("{doses: [{rank: 4, targetModules: all-linear}, {rank: 64, targetModules: q_proj}]}")
    heaviest = doses.heaviest(spec)["training"]["sft"]
    assert (heaviest["rank"], heaviest["targetModules"]) == (64, ["all-linear"])


@pytest.mark.parametrize(
    ("sweep", "field", "text"),
    [
        ("{doses: [{rank: 4}]}", "spec.sweep.doses", "gives 1 dose; a choice needs at least 2"),
        ("{grid: {rank: [4]}}", "spec.sweep.grid", "gives 1 dose;"),
        ("{grid: {}}", "spec.sweep.grid", "gives 0 doses"),
        ("{doses: [{rank: 4}, {rank: 8}, {rank: 4}]}", "spec.sweep.doses[2]", "stands there twice (doses 1 and 3)"),
        ("{doses: [{rank: 4}, {}]}", "spec.sweep.doses[1]", "sets nothing"),
        ("{grid: {rank: [4, 4]}}", "spec.sweep.grid", "stands there twice"),
        ("{doses: [{targetModules: 'a,b'}, {targetModules: 'a, b'}]}", "spec.sweep.doses[1]", "stands there twice"),
        ("{grid: {epochs: [1, 2], maxSteps: [5]}}", "spec.sweep.grid", "must not vary both"),
        ("{grid: {rank: [1,2,3,4,5,6,7,8,9], maxSteps: [1,2,3,4,5,6,7,8]}}", "spec.sweep.grid", "gives 72 doses"),
    ],
)  # fmt: skip
def test_what_is_no_choice_of_doses_is_refused_by_name(sweep: str, field: str, text: str) -> None:
    assert text in wrong(spec_of(sweep))[field]


@pytest.mark.parametrize(
    ("sweep", "text"),
    [
        ("{grid: {rank: [4, 8]}, doses: [{rank: 4}]}", "either doses .* or grid"),
        ("{}", "either doses .* or grid"),
        ("{doses: [{epochs: 1, maxSteps: 5}, {rank: 2}]}", "both epochs and maxSteps"),
        ("{grid: {rank: [0, 8]}}", "rank"),
        ("{grid: {ranks: [4, 8]}}", "did you mean rank"),
        ("{grid: {rank: [4, 8]}, margin: 0}", "margin"),
        ("{doses: [{rank: 4}, {rank: eight}]}", "must be a whole number"),
    ],
)
def test_what_the_contract_does_not_take_is_refused(sweep: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        spec_of(sweep)


def test_a_share_needs_general_rows_and_a_rank_needs_an_adapter() -> None:
    curation = {"sources": [{"uri": "file:/s", "format": "SPL"}], "pairs": 10}
    spec = spec_of("{grid: {generalShare: [0.1, 0.2]}}", curation=curation)
    assert "needs curation.general.uri" in wrong(spec)["spec.sweep.grid.generalShare"]
    spec = spec_of("{grid: {rank: [4, 8]}}", training={"sft": {"method": "FULL"}})
    assert "method: FULL" in wrong(spec)["spec.sweep.grid.rank"]


def test_a_sweep_needs_items_to_choose_by() -> None:
    evaluation = {"suites": SUITES[:2], "gates": [{"suite": "holdout", "atLeast": 0.5}]}
    spec = spec_of("{grid: {rank: [4, 8]}}", evaluation=evaluation)
    assert "development: SIDE_EFFECT" in wrong(spec)["spec.evaluation.suites"]


def test_nobody_submits_a_dose_of_somebody_elses_sweep() -> None:
    spec = spec_of("{grid: {rank: [4, 8]}}", doseOf={"run": "namespaces/default/fineTuneRuns/x", "number": 1})
    assert "is written by the orchestrator" in wrong(spec)["spec.doseOf"]
