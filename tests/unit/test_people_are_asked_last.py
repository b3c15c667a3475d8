"""The stage of people: opened when every other gate holds, waited for, and decided by the verdict alone."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from service.orchestrator.noop import new_run

from posology.orchestrator.domain import Run, Stage, State
from posology.orchestrator.graph import GRAPH, needs_of, stages_of
from posology.orchestrator.stages.human import Human
from posology.orchestrator.stages.labels import Labels
from posology.orchestrator.stages.verdict import _observed
from posology.v1alpha1 import curation_pb2, evaluation_pb2
from posology.v1alpha1.curation_pb2 import Review
from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict

SPEC: dict[str, Any] = {
    "curation": {"seed": 3},
    "training": {"sft": {"method": "FULL"}},
    "evaluation": {
        "confidence": 0.95,
        "gates": [{"suite": "mcq", "maxDrop": 0.1}, {"suite": "real", "acceptableAtLeast": 0.85, "sample": 60}],
    },
}


@dataclass
class Services:
    """Evaluation and curation as far as the stage asks them; `calls` are the reviews that were opened."""

    gates: list[GateResult]
    review: Review = field(default_factory=Review)
    calls: list[curation_pb2.CreateReviewRequest] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    async def IssueVerdict(self, request: evaluation_pb2.IssueVerdictRequest) -> Verdict:
        assert request.validate_only
        self.statements = list(request.statements)
        return Verdict(gates=self.gates)

    async def CreateReview(self, request: curation_pb2.CreateReviewRequest) -> Review:
        self.calls.append(request)
        return Review(name=f"{request.parent}/reviews/{request.review_id}", state=Review.OPEN)

    async def GetReview(self, _: Any) -> Review:
        return self.review

    @property
    def evaluation(self) -> "Services":
        return self

    curation = catalog = evaluation


def gate(kind: str, outcome: Any, n: int = 100) -> GateResult:
    return GateResult(suite=kind, kind=kind, outcome=outcome, n=n, explanation=kind)


NOT_YET = gate("human", Verdict.INSUFFICIENT_EVIDENCE, 0)


def run() -> tuple[Run, Stage]:
    made = new_run(1, spec=SPEC, graph=GRAPH)
    evaluated = Stage("evaluate", 9, State.SUCCEEDED, resource="evaluations/e", artifact="sha256:e")
    stages = tuple(evaluated if stage.stage == "evaluate" else stage for stage in made.stages)
    found = replace(made, stages=stages)
    stage = found.stage("human")
    assert stage is not None
    return found, replace(stage, attempt=1)


async def test_a_review_opens_over_the_evaluation_when_all_else_holds() -> None:
    services: Any = Services([gate("regression", Verdict.PASS), NOT_YET])
    seen = await Human(services).start(*run())
    [request] = services.calls
    assert (request.subject, request.policy.sample, request.policy.reviewers) == ("sha256:e", 60, 2)
    assert request.policy.max_error_rate == pytest.approx(0.15)
    assert request.policy.repeats == 10
    assert (seen.state, seen.resource) == (State.PAUSED, "namespaces/default/reviews/human-u00000000001-1")


@pytest.mark.parametrize("outcome", [Verdict.FAIL, Verdict.INSUFFICIENT_EVIDENCE, Verdict.INVALID])
async def test_nobody_is_asked_where_a_machine_can_tell(outcome: Any) -> None:
    services: Any = Services([gate("regression", outcome), NOT_YET])
    seen = await Human(services).start(*run())
    assert not services.calls
    assert (seen.state, "regression is" in seen.reason) == (State.SUCCEEDED, True)


@pytest.mark.parametrize("state", [Review.PASSED, Review.FAILED])
async def test_what_people_found_goes_to_the_verdict_whatever_it_is(state: Any) -> None:
    services: Any = Services([], Review(name="r", state=state, statement="signed"))
    seen = await Human(services).observe(*run())
    assert (seen.state, seen.details["statement"]) == (State.SUCCEEDED, "signed")


async def test_a_review_that_was_closed_early_fails_the_run() -> None:
    services: Any = Services([], Review(name="r", state=Review.CANCELLED))
    assert (await Human(services).observe(*run())).state is State.FAILED


def test_the_stage_is_there_where_a_gate_asks_for_people_and_the_verdict_waits_for_it() -> None:
    assert "human" in {stage.stage for stage in stages_of(SPEC)} & set(needs_of("verdict", SPEC))
    without = {**SPEC, "evaluation": {"gates": [{"suite": "mcq", "maxDrop": 0.1}]}}
    assert "human" not in {stage.stage for stage in stages_of(without)}


LABELLED: dict[str, Any] = {
    **SPEC,
    "evaluation": {
        "gates": [{"suite": "safety", "maxDrop": 0.1, "judged": True, "raters": 2}, *SPEC["evaluation"]["gates"]]
    },
}


def labels_run(outcome: Any = Verdict.INSUFFICIENT_EVIDENCE, *, waits: bool = True) -> tuple[Any, Run, Stage]:
    refusal = gate("refusal", outcome)
    refusal.details["waitsForLabels"] = waits
    made = new_run(1, spec=LABELLED, graph=GRAPH)
    evaluated = Stage("evaluate", 9, State.SUCCEEDED, resource="evaluations/e", artifact="sha256:e")
    found = replace(made, stages=tuple(evaluated if one.stage == "evaluate" else one for one in made.stages))
    stage = found.stage("labels")
    assert stage is not None
    services: Any = Services([gate("regression", Verdict.PASS), refusal, NOT_YET])
    return services, found, replace(stage, attempt=1)


async def test_labels_are_asked_for_before_people_rate_when_all_else_holds() -> None:
    services, found, stage = labels_run()
    seen = await Labels(services).start(found, stage)
    [request] = services.calls
    assert (request.subject, request.task, request.policy.reviewers) == ("sha256:e", Review.LABEL_REFUSALS, 2)
    assert (seen.state, seen.resource) == (State.PAUSED, "namespaces/default/reviews/labels-u00000000001-1")
    assert {"labels"} <= set(needs_of("human", LABELLED)) & set(needs_of("verdict", LABELLED))
    assert "labels" not in {one.stage for one in stages_of(SPEC)}


@pytest.mark.parametrize(("outcome", "waits"), [(Verdict.INVALID, False), (Verdict.INSUFFICIENT_EVIDENCE, False)])
async def test_nobody_labels_where_the_judge_itself_is_at_fault(outcome: Any, waits: bool) -> None:
    services, found, stage = labels_run(outcome, waits=waits)
    seen = await Labels(services).start(found, stage)
    assert not services.calls
    assert (seen.state, "refusal is" in seen.reason) == (State.SUCCEEDED, True)


async def test_people_rate_answers_only_once_labels_made_the_refusal_gate_hold() -> None:
    services, found, _ = labels_run()
    labelled = Stage("labels", 10, State.SUCCEEDED, details={"statement": "signed labels"})
    found = replace(found, stages=tuple(labelled if one.stage == "labels" else one for one in found.stages))
    stage = found.stage("human")
    assert stage is not None
    await Human(services).start(found, replace(stage, attempt=1))
    assert services.statements == ["signed labels"]


def test_a_gate_of_people_who_were_never_asked_does_not_stop_a_retry_at_lower_intensity() -> None:
    lost = gate("regression", Verdict.FAIL)
    assert _observed(Verdict(outcome=Verdict.FAIL, gates=[lost, NOT_YET])).details["onlyRegression"]
    rated = gate("human", Verdict.FAIL, 50)
    assert not _observed(Verdict(outcome=Verdict.FAIL, gates=[lost, rated])).details["onlyRegression"]
