"""The stage graph: experts read what passed preflight, and runs from before that stage go on."""

from dataclasses import replace

from service.orchestrator.noop import new_run

from posology.orchestrator.domain import Failure, State
from posology.orchestrator.graph import GRAPH, needs_of, stages_of
from posology.orchestrator.repository import _failure, _stage_row
from posology.orchestrator.transitions import movable

SPEC = {
    "curation": {"review": {}, "preferences": {"review": {}}},
    "training": {"dpo": {}},
    "evaluation": {},
    "startTraining": "AFTER_REVIEW",
}


def next_stages(*done: str, without: str = "", start: str = "AFTER_REVIEW") -> set[str]:
    run = new_run(1, spec={**SPEC, "startTraining": start}, graph=GRAPH)
    stages = tuple(
        replace(stage, state=State.SUCCEEDED if stage.stage in done else State.WAITING)
        for stage in run.stages
        if stage.stage != without
    )
    return {stage.stage for stage in movable(replace(run, stages=stages))}


def test_preflight_waits_for_base_data_and_preferences_and_both_reviews_wait_for_it() -> None:
    made = ("plan", "base-model", "curate")
    assert next_stages(*made) == {"preferences"}
    assert next_stages(*made, "preferences") == {"preflight"}
    assert next_stages(*made, "preferences", "preflight") == {"review-data", "review-preferences"}


def test_general_rows_are_a_stage_of_their_own_that_neither_the_data_nor_their_review_waits_for() -> None:
    spec = {**SPEC, "curation": {**SPEC["curation"], "general": {"uri": "file:/g", "share": 0.1}}}  # type: ignore[dict-item]
    stages = [stage.stage for stage in stages_of(spec)]
    assert stages.index("general") == stages.index("curate") + 1
    assert "general" not in needs_of("review-data", spec)
    assert needs_of("general", spec) == ("plan",)
    assert "general" in needs_of("sft", spec)


def test_training_at_once_waits_for_preflight_and_not_for_the_review() -> None:
    done = ("plan", "base-model", "curate", "preferences")
    assert next_stages(*done, start="IMMEDIATELY") == {"preflight"}
    assert "sft" in next_stages(*done, "preflight", start="IMMEDIATELY")


def test_a_run_from_before_the_stage_goes_on_without_it() -> None:
    assert next_stages("plan", without="preflight") == {"base-model", "curate"}
    done = ("plan", "base-model", "curate", "preferences")
    assert next_stages(*done, without="preflight") == {"review-data", "review-preferences"}
    assert "sft" in next_stages(*done, "review-data", without="preflight")


def test_violations_of_a_failure_are_stored_and_errors_of_the_version_before_are_read() -> None:
    stage = new_run(1).stages[0]
    plain = _stage_row("u", replace(stage, error=Failure("Internal", "x")))["error"]
    assert plain == {"type": "Internal", "message": "x", "retryable": False}
    failure = Failure("InvalidInput", "x", violations=(("spec.training.sft.maxLength", "too short"),))
    stored = _stage_row("u", replace(stage, error=failure))["error"]
    assert _failure(stored) == failure
    assert _failure(plain) == Failure("Internal", "x")
