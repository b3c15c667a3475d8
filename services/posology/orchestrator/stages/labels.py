"""labels: people label a sample of answers to harmful and harmless prompts, so that a judge of refusals counts."""

from collections.abc import Mapping
from typing import Any

from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.stages.evaluate import Evaluate
from posology.orchestrator.stages.people import open_gates
from posology.orchestrator.stages.review import ReviewStage
from posology.v1alpha1 import curation_pb2
from posology.v1alpha1.curation_pb2 import Review


class Labels(ReviewStage):
    """Opens a review of the answers that the evaluation drew; what the labels show is the verdict's business."""

    task = Review.LABEL_REFUSALS

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        self._clients = clients

    def subject(self, run: Run) -> str:
        """The evaluation's answers."""
        return run.artifact("evaluate")

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The same answers need no second review."""
        scored = await Evaluate(self._clients).inputs(run) or {}
        opens = not await open_gates(self._clients.evaluation, run)
        return {
            "weights": run.artifact("merge"),
            "prompts": scored["suites"],
            "policy": self.policy(run),
            "opens": opens,
        }

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Open the review, or say which gate made it pointless."""
        if missing := await open_gates(self._clients.evaluation, run):
            return Observation(State.SUCCEEDED, f"nobody is asked, since {'; '.join(missing)}")
        return await super().start(run, stage)

    def policy(self, run: Run) -> Mapping[str, Any]:
        """How many people label each answer."""
        gates = [gate for gate in run.spec["evaluation"]["gates"] if gate.get("judged")]
        return {"reviewers": max(gate.get("raters") or 1 for gate in gates)}

    def observed(self, review: curation_pb2.Review) -> Observation:
        """What people said is the verdict's business, so only a review that was closed early ends the run."""
        summary = review.summary
        if review.state in (Review.PASSED, Review.FAILED):
            details = {"statement": review.statement, "reviewerKinds": list(summary.reviewer_kinds)}
            said = f"{summary.rated} answers are labelled"
            return Observation(State.SUCCEEDED, said, review.artifact, review.name, details=details)
        if review.state == Review.CANCELLED:
            reason = "the labelling of answers was closed early"
            return Observation(State.FAILED, reason, "", review.name, error=Failure("FailedPrecondition", reason))
        status = f"{summary.rated} of {summary.planned} answers are labelled; posology review next {review.name}"
        return Observation(
            State.PAUSED, status, resource=review.name, progress={"done": summary.rated, "total": summary.planned}
        )
