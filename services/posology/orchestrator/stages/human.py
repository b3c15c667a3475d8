"""human: people rate the candidate's answers, once all that a machine can tell holds; the run holds nothing then."""

from collections.abc import Mapping
from typing import Any

from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.stages.evaluate import Evaluate
from posology.orchestrator.stages.people import open_gates
from posology.orchestrator.stages.review import ReviewStage
from posology.v1alpha1.curation_pb2 import Review

SAMPLE, RATERS, MOST_REPEATS = 50, 2, 10


class Human(ReviewStage):
    """Opens a review of the evaluation's answers in curation; what it says is the verdict's business, PASS or FAIL."""

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        self._evaluation = clients.evaluation
        self._evaluate = Evaluate(clients)

    def subject(self, run: Run) -> str:
        """The evaluation's answers."""
        return run.artifact("evaluate")

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The same weights and questions under the same policy need no second review."""
        scored = await self._evaluate.inputs(run) or {}
        opens = not await open_gates(self._evaluation, run, statements=_labels(run))
        return {
            "weights": run.artifact("merge"),
            "queries": scored["suites"],
            "policy": self.policy(run),
            "opens": opens,
        }

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Open the review, or say which gate made it pointless."""
        if missing := await open_gates(self._evaluation, run, statements=_labels(run)):
            reason = f"nobody is asked, since {'; '.join(missing)}"
            return Observation(State.SUCCEEDED, reason)
        return await super().start(run, stage)

    def policy(self, run: Run) -> Mapping[str, Any]:
        """What the gate asks of people."""
        gate = next(gate for gate in run.spec["evaluation"]["gates"] if "acceptableAtLeast" in gate)
        sample = gate.get("sample") or SAMPLE
        return {
            "sample": sample,
            "maxErrorRate": round(1 - gate["acceptableAtLeast"], 9),
            "confidence": run.spec["evaluation"].get("confidence", 0.95),
            "reviewers": gate.get("raters") or RATERS,
            "repeats": min(MOST_REPEATS, sample // 5),
        }

    def observed(self, review: Review) -> Observation:
        """What people said is the verdict's business, so only a review that was closed early ends the run."""
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


def _labels(run: Run) -> tuple[str, ...]:
    """The statement on labels, where a judge of refusals was corrected by them."""
    stage = run.stage("labels")
    statement = str(stage.details.get("statement", "")) if stage else ""
    return (statement,) if statement else ()
