"""labels: people label a sample of answers to harmful and harmless prompts, so that a judge of refusals counts."""

from collections.abc import Mapping
from typing import Any

from posology.orchestrator.domain import Run
from posology.orchestrator.stages.people import AnswersReview
from posology.v1alpha1.curation_pb2 import Review, ReviewSummary


class Labels(AnswersReview):
    """Whether the answers that the evaluation drew gave what was asked for, or refused."""

    task = Review.LABEL_REFUSALS
    suites_input = "prompts"
    judged = "labelled"

    def policy(self, run: Run) -> Mapping[str, Any]:
        """How many people label each answer."""
        gates = [gate for gate in run.spec["evaluation"]["gates"] if gate.get("judged")]
        return {"reviewers": max(gate.get("raters") or 1 for gate in gates)}

    def outcome(self, summary: ReviewSummary) -> str:
        """How many answers are labelled."""
        return f"{summary.rated} answers are labelled"
