"""human: people rate the candidate's answers, once all that a machine can tell holds; the run holds nothing then."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.evaluate import Evaluate
from posology.v1alpha1 import curation_pb2, evaluation_pb2
from posology.v1alpha1.curation_pb2 import Review
from posology.v1alpha1.evaluation_pb2 import Verdict

KIND = "human"
"""Kind of the gate that people decide."""
SAMPLE, RATERS, MOST_REPEATS = 50, 2, 10


class Human:
    """Opens a review of the evaluation's answers in curation; what it says is the verdict's business, PASS or FAIL."""

    def __init__(self, clients: Clients) -> None:
        self._curation = clients.curation
        self._evaluation = clients.evaluation
        self._evaluate = Evaluate(clients)

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The same weights and questions under the same policy need no second review."""
        scored = await self._evaluate.inputs(run) or {}
        opens = not await self._open_gates(run)
        return {"weights": run.artifact("merge"), "queries": scored["suites"], "policy": _policy(run), "opens": opens}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Open the review, or say which gate made it pointless."""
        if missing := await self._open_gates(run):
            reason = f"nobody is asked, since {'; '.join(missing)}"
            return Observation(State.SUCCEEDED, reason)
        request = curation_pb2.CreateReviewRequest(
            parent=run.parent,
            review_id=resource_id(run, stage),
            subject=run.artifact("evaluate"),
            policy=schema.parse(Review.Policy, _policy(run)),
            seed=run.spec["curation"]["seed"],
            request_id=request_id(run, stage),
        )
        return _observed(await self._curation.CreateReview(request))

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the review stands."""
        return _observed(await self._curation.GetReview(curation_pb2.GetReviewRequest(name=stage.resource)))

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Close the review."""
        await self._curation.CancelReview(curation_pb2.CancelReviewRequest(name=stage.resource))

    async def _open_gates(self, run: Run) -> list[str]:
        """Gates that do not hold, those of people left out; asking for a verdict without signing it uses no suite."""
        evaluate = run.stage("evaluate")
        request = evaluation_pb2.IssueVerdictRequest(
            parent=run.parent, evaluation=evaluate.resource if evaluate else "", validate_only=True
        )
        verdict = await self._evaluation.IssueVerdict(request)
        missing = [gate for gate in verdict.gates if gate.kind != KIND and gate.outcome != Verdict.PASS]
        return [f"{gate.suite} is {Verdict.Outcome.Name(gate.outcome)}" for gate in missing]


def _policy(run: Run) -> dict[str, Any]:
    gate = next(gate for gate in run.spec["evaluation"]["gates"] if "acceptableAtLeast" in gate)
    sample = gate.get("sample") or SAMPLE
    return {
        "sample": sample,
        "maxErrorRate": round(1 - gate["acceptableAtLeast"], 9),
        "confidence": run.spec["evaluation"].get("confidence", 0.95),
        "reviewers": gate.get("raters") or RATERS,
        "repeats": min(MOST_REPEATS, sample // 5),
    }


def _observed(review: Review) -> Observation:
    summary = review.summary
    if review.state in (Review.PASSED, Review.FAILED):
        details = {"statement": review.statement, "reviewerKinds": list(summary.reviewer_kinds)}
        said = f"{summary.planned - summary.errors} of {summary.planned} answers are correct"
        return Observation(State.SUCCEEDED, said, review.artifact, review.name, details=details)
    if review.state == Review.CANCELLED:
        reason = "the review of answers was closed early"
        return Observation(State.FAILED, reason, "", review.name, error=Failure("FailedPrecondition", reason))
    status = f"{summary.rated} of {summary.planned} answers are rated; posology review next {review.name}"
    return Observation(
        State.PAUSED, status, resource=review.name, progress={"done": summary.rated, "total": summary.planned}
    )
