"""Reviews of the evaluation's answers by people, once all that a machine can tell holds; the run holds nothing then."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.stages.evaluate import Evaluate
from posology.orchestrator.stages.review import ReviewStage
from posology.v1alpha1 import evaluation_pb2, evaluation_pb2_grpc
from posology.v1alpha1.curation_pb2 import Review, ReviewSummary
from posology.v1alpha1.evaluation_pb2 import Verdict

KIND = "human"
"""Kind of the gate that people decide."""


class AnswersReview(ReviewStage):
    """Opens a review of the evaluation's answers; what people say is the verdict's business, PASS or FAIL.

    Only a review that was closed early ends the run.
    """

    suites_input: ClassVar[str]
    """What the stage's inputs call the suites; a digest is made of it."""
    judged: ClassVar[str]
    """What has happened to an answer that somebody judged."""

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        self._evaluation = clients.evaluation
        self._evaluate = Evaluate(clients)

    def subject(self, run: Run) -> str:
        """The evaluation's answers."""
        return run.artifact("evaluate")

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The same answers to the same questions under the same policy need no second review."""
        scored = await self._evaluate.inputs(run) or {}
        opens = not await open_gates(self._evaluation, run, statements=self.statements(run))
        return {
            "weights": run.artifact("merge"),
            self.suites_input: scored["suites"],
            "policy": self.policy(run),
            "opens": opens,
        }

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Open the review, or say which gate made it pointless."""
        if missing := await open_gates(self._evaluation, run, statements=self.statements(run)):
            return Observation(State.SUCCEEDED, f"nobody is asked, since {'; '.join(missing)}")
        return await super().start(run, stage)

    def observed(self, review: Review) -> Observation:
        """How the review stands; it pauses the run until people are done."""
        summary = review.summary
        if review.state in (Review.PASSED, Review.FAILED):
            details = {"statement": review.statement, "reviewerKinds": list(summary.reviewer_kinds)}
            return Observation(State.SUCCEEDED, self.outcome(summary), review.artifact, review.name, details=details)
        if review.state == Review.CANCELLED:
            reason = f"the review of answers was closed before all were {self.judged}"
            return Observation(State.FAILED, reason, "", review.name, error=Failure("FailedPrecondition", reason))
        status = f"{summary.rated} of {summary.planned} answers are {self.judged}; posology review next {review.name}"
        return Observation(
            State.PAUSED, status, resource=review.name, progress={"done": summary.rated, "total": summary.planned}
        )

    def statements(self, run: Run) -> tuple[str, ...]:
        """What people stated earlier, which gates are decided with."""
        return ()

    @abstractmethod
    def outcome(self, summary: ReviewSummary) -> str:
        """What people found, in a few words."""


async def open_gates(
    evaluation: evaluation_pb2_grpc.EvaluationAsyncStub, run: Run, *, statements: tuple[str, ...] = ()
) -> list[str]:
    """Gates that do not hold, but those of people and those that wait for their labels.

    Asking for a verdict without signing it uses no suite.
    """
    evaluate = run.stage("evaluate")
    request = evaluation_pb2.IssueVerdictRequest(
        parent=run.parent,
        evaluation=evaluate.resource if evaluate else "",
        statements=statements,
        validate_only=True,
    )
    verdict = await evaluation.IssueVerdict(request)
    missing = [gate for gate in verdict.gates if gate.outcome != Verdict.PASS and not _waits(gate)]
    return [f"{gate.suite} is {Verdict.Outcome.Name(gate.outcome)}" for gate in missing]


def _waits(gate: evaluation_pb2.GateResult) -> bool:
    return gate.kind == KIND or ("waitsForLabels" in gate.details and bool(gate.details["waitsForLabels"]))
