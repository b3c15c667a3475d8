"""human: people rate the candidate's answers, once all that a machine can tell holds; the run holds nothing then."""

from collections.abc import Mapping
from typing import Any

from posology.orchestrator.domain import Run
from posology.orchestrator.stages.people import AnswersReview
from posology.v1alpha1.curation_pb2 import ReviewSummary

SAMPLE, RATERS, MOST_REPEATS = 50, 2, 10


class Human(AnswersReview):
    """Whether the answers are acceptable."""

    suites_input = "queries"
    judged = "rated"

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

    def statements(self, run: Run) -> tuple[str, ...]:
        """The statement on labels, where a judge of refusals was corrected by them."""
        stage = run.stage("labels")
        statement = str(stage.details.get("statement", "")) if stage else ""
        return (statement,) if statement else ()

    def outcome(self, summary: ReviewSummary) -> str:
        """How many answers are correct."""
        return f"{summary.planned - summary.errors} of {summary.planned} answers are correct"
