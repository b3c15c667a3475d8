"""review-data, review-preferences: the run waits for experts, and holds nothing while it does."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.curate import data_of
from posology.v1alpha1 import curation_pb2
from posology.v1alpha1.curation_pb2 import Review


class ReviewStage:
    """Opens a review in curation and waits; curation's closed reviews wake the run."""

    task: Review.Task.ValueType = Review.RATE_CORRECTNESS
    """What reviewers are asked."""

    def __init__(self, clients: Clients) -> None:
        self._curation = clients.curation

    def subject(self, run: Run) -> str:
        """Digest of what is reviewed."""
        raise LookupError(run.uid)

    def policy(self, run: Run) -> Mapping[str, Any]:
        """The part of the spec that says how much is reviewed."""
        raise LookupError(run.uid)

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The same set under the same policy needs no second review."""
        return {"subject": self.subject(run), "policy": self.policy(run), "seed": run.spec["curation"]["seed"]}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Draw the sample and open the review."""
        request = curation_pb2.CreateReviewRequest(
            parent=run.parent,
            review_id=resource_id(run, stage),
            subject=self.subject(run),
            policy=schema.parse(Review.Policy, self.policy(run)),
            seed=run.spec["curation"]["seed"],
            request_id=request_id(run, stage),
            task=self.task,
        )
        return self.observed(await self._curation.CreateReview(request))

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the review stands."""
        return self.observed(await self._curation.GetReview(curation_pb2.GetReviewRequest(name=stage.resource)))

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Close the review."""
        await self._curation.CancelReview(curation_pb2.CancelReviewRequest(name=stage.resource))

    def observed(self, review: Review) -> Observation:
        """The stage as the review stands: a bound that does not hold ends the run."""
        details = {"statement": review.statement, "reviewerKinds": list(review.summary.reviewer_kinds)}
        if review.state == Review.PASSED:
            return Observation(State.SUCCEEDED, _bound(review), review.artifact, review.name, details=details)
        if review.state in (Review.FAILED, Review.CANCELLED):
            reason = _bound(review) if review.state == Review.FAILED else "the review was closed early"
            return Observation(
                State.FAILED, reason, "", review.name, error=Failure("FailedPrecondition", reason), details=details
            )
        status = (
            f"{review.summary.rated} of {review.summary.planned} items are rated; posology review next {review.name}"
        )
        progress = {"done": review.summary.rated, "total": review.summary.planned}
        return Observation(State.PAUSED, status, resource=review.name, progress=progress)


class ReviewData(ReviewStage):
    """Review of the data set."""

    def subject(self, run: Run) -> str:
        """The data set, corrected where the spec says so."""
        return data_of(run)

    def policy(self, run: Run) -> Mapping[str, Any]:
        """`spec.curation.review`."""
        policy: Mapping[str, Any] = run.spec["curation"]["review"]
        return policy


class ReviewPreferences(ReviewStage):
    """Review of the preference set."""

    def subject(self, run: Run) -> str:
        """The preference set."""
        return run.artifact("preferences")

    def policy(self, run: Run) -> Mapping[str, Any]:
        """`spec.curation.preferences.review`."""
        policy: Mapping[str, Any] = run.spec["curation"]["preferences"]["review"]
        return policy


def _bound(review: Review) -> str:
    summary, policy = review.summary, review.policy
    return (
        f"{summary.errors} errors in {summary.rated} items: the error rate is under {summary.upper_bound:.2%} "
        f"at {policy.confidence:.0%} confidence, wanted under {policy.max_error_rate:.2%}"
    )
