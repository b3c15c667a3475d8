"""The rules by which a resource's status is written, and by which a happening is told once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from posology.operator import convert, domain
from posology.v1alpha1 import orchestrator_pb2 as pb

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


def run(phase: str, **stages: str) -> pb.FineTuneRun:
    found = [
        pb.Stage(stage=name.replace("_", "-"), state=pb.Stage.State.Value(state), attempt=1)
        for name, state in stages.items()
    ]
    return pb.FineTuneRun(
        name="namespaces/a/fineTuneRuns/b", uid="u", phase=pb.FineTuneRun.Phase.Value(phase), stages=found
    )


def resource(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": "b", "uid": "k", "generation": 1, **metadata},
        "status": status or {},
    }


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    before = convert.status_from(run("RUNNING", sft="RUNNING"), resource(), at=AT)
    after = convert.status_from(run("SUCCEEDED", sft="SUCCEEDED"), resource(before), at=LATER)
    times = {c["type"]: c["lastTransitionTime"] for c in after["conditions"]}
    assert times["Accepted"] == "2026-11-24T12:00:00Z"
    assert times["Running"] == times["Succeeded"] == "2026-11-24T13:00:00Z"


def test_a_cancelled_run_satisfies_whoever_waits_for_failure() -> None:
    status = convert.status_from(run("CANCELLED", sft="CANCELLED"), resource(), at=AT)
    failed = next(c for c in status["conditions"] if c["type"] == "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "Cancelled")


def test_the_stage_shown_is_the_one_that_matters_most() -> None:
    assert domain.current_stage([{"stage": "a", "state": "SUCCEEDED"}, {"stage": "b", "state": "RUNNING"}]) == "b"
    assert domain.current_stage([{"stage": "a", "state": "PAUSED"}, {"stage": "b", "state": "RUNNING"}]) == "b"
    assert domain.current_stage([{"stage": "a", "state": "FAILED"}, {"stage": "b", "state": "CANCELLED"}]) == "a"
    assert domain.current_stage([{"stage": "a", "state": "SUCCEEDED"}, {"stage": "b", "state": "SUCCEEDED"}]) == "b"
    assert domain.current_stage([]) == ""


def test_what_happened_is_told_stage_by_stage_and_waiting_is_nothing() -> None:
    before = convert.status_from(run("RUNNING", curate="SUCCEEDED", sft="RUNNING", merge="WAITING"), resource(), at=AT)
    after = convert.status_from(run("FAILED", curate="SUCCEEDED", sft="FAILED", merge="CANCELLED"), resource(), at=AT)
    told = [(h.reason, h.warning) for h in domain.happenings(before, after)]
    assert told == [("StageFailed", True), ("StageCancelled", False), ("RunFailed", True)]
    assert list(domain.happenings(after, after)) == []


def test_a_second_attempt_is_a_happening_of_its_own() -> None:
    first = {"phase": "Running", "stages": [{"stage": "sft", "state": "RUNNING", "attempt": 1}]}
    second = {"phase": "Running", "stages": [{"stage": "sft", "state": "RUNNING", "attempt": 2}]}
    assert [h.key for h in domain.happenings(first, second)] == ["sft/RUNNING/2"]


def test_a_resource_speaks_only_for_the_run_that_belongs_to_it() -> None:
    applied = convert.claim_of(resource())
    assert applied.holds_for("any", {domain.RESOURCE_UID: "k"})
    assert not applied.holds_for("any", {domain.RESOURCE_UID: "another"})
    shown = convert.claim_of(resource(annotations={domain.RUN_UID: "u"}))
    assert shown.holds_for("u", {})
    assert not shown.holds_for("v", {domain.RESOURCE_UID: "k"})


def test_labels_that_kubernetes_cannot_hold_are_left_out_of_the_resource() -> None:
    made = run("RUNNING")
    made.labels.update({"team": "a", "note": "two words", "x" * 64: "y"})
    assert convert.resource_from(made)["metadata"]["labels"] == {"team": "a"}


def test_what_a_queue_decides_is_a_column_and_an_event() -> None:
    spec = {"training": {"resources": {"queue": "team-a"}}}
    queued = {"stage": "sft", "state": "RUNNING", "attempt": 1, "queueState": "QUEUED", "reason": "attempt 1 waits"}
    preempted = {**queued, "queueState": "PREEMPTED", "reason": "attempt 1 had to give its place back"}
    assert domain.queue_of(spec, [{**queued, "queueState": ""}]) == "team-a"
    assert domain.queue_of(spec, [queued]) == "team-a: Queued"
    told = list(
        domain.happenings({"phase": "Running", "stages": [queued]}, {"phase": "Running", "stages": [preempted]})
    )
    assert [(each.reason, each.message) for each in told] == [
        ("QueuePreempted", "sft: attempt 1 had to give its place back")
    ]


@pytest.mark.parametrize(
    ("phase", "ready", "reconciling", "stalled"),
    [
        ("PENDING", "False", "True", "False"),
        ("RUNNING", "False", "True", "False"),
        ("REVIEW_PENDING", "False", "True", "False"),
        ("SUCCEEDED", "True", "False", "False"),
        ("FAILED", "False", "False", "True"),
        ("CANCELLED", "False", "False", "True"),
    ],
)
def test_tools_that_know_kstatus_know_when_to_stop_waiting(
    phase: str, ready: str, reconciling: str, stalled: str
) -> None:
    held = {condition.type: condition.status for condition in domain.conditions_of(phase, "m")}
    assert (held["Ready"], held["Reconciling"], held["Stalled"]) == (ready, reconciling, stalled)


def test_a_refused_resource_is_stalled_and_one_not_taken_yet_is_not() -> None:
    for for_good, stalled in ((True, "True"), (False, "False")):
        held = {c.type: c.status for c in domain.refused("Invalid", "m", for_good=for_good)}
        assert (held["Ready"], held["Stalled"]) == ("False", stalled)


def test_a_verdict_is_said_by_its_outcome() -> None:
    def verdict(state: str, reason: str) -> str:
        return domain.verdict_of([{"stage": "verdict", "state": state, "reason": reason}])

    assert verdict("SUCCEEDED", "PASS: all 3 gates are shown to hold") == "PASS"
    assert verdict("FAILED", "INSUFFICIENT_EVIDENCE: refusal: ...") == "INSUFFICIENT_EVIDENCE"
    assert verdict("WAITING", "") == ""
    assert domain.verdict_of([]) == ""
