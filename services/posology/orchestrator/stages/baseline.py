"""baseline: the base with examples in its prompt, scored before anything is trained; it may make training needless."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import evaluation_pb2

FEW_SHOT = "few-shot"


class Baseline:
    """Evaluation scores; whether the run goes on is said here, by `spec.evaluation.baseline.stopIfAtLeast`."""

    def __init__(self, clients: Clients) -> None:
        self._evaluation = clients.evaluation

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The base, the examples and the items; the same ones are not scored again."""
        checked = await self._evaluation.CreateEvaluation(_request(run, "check", validate_only=True))
        spec = run.spec["evaluation"]
        return {
            "base": run.artifact("base-model"),
            "baseline": spec["baseline"],
            "engine": spec.get("engine", {}),
            "onGpus": spec.get("resources", {}).get("gpus", 0) > 0,
            "suite": checked.source_sha256,
        }

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the scores."""
        made = await self._evaluation.CreateEvaluation(_request(run, resource_id(run, stage), request_id(run, stage)))
        return observed(made.name, made.status)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How far it is, and what the scores mean for the run."""
        scored = await self._evaluation.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=stage.resource))
        seen = observed(scored.name, scored.status)
        if seen.state is not State.SUCCEEDED:
            return seen
        return decided(seen, schema.to_mapping(scored.status.summary), run.spec["evaluation"]["baseline"])

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._evaluation.CancelEvaluation(evaluation_pb2.CancelEvaluationRequest(name=stage.resource))


def decided(seen: Observation, summary: Mapping[str, Any], asked: Mapping[str, Any]) -> Observation:
    """The stage once the base was scored: it fails, with advice, where the base alone is good enough."""
    [(suite, models)] = summary["suites"].items()
    scores, limit, shots = models[FEW_SHOT], asked["stopIfAtLeast"], int(summary["shots"])
    details = {"suite": suite, "shots": shots, "stopIfAtLeast": limit, **scores}
    said = (
        f"the base with {shots} examples in its prompt is right on {scores['accuracy']:.1%} of {int(scores['n'])} "
        f"items of {suite} ({scores['low']:.1%} to {scores['high']:.1%})"
    )
    if not limit or scores["accuracy"] < limit:
        goes_on = f", under stopIfAtLeast {limit:.1%}: there is something to train for" if limit else ""
        return replace(seen, reason=said + goes_on, details=details)
    reason = (
        f"{said}, and stopIfAtLeast is {limit:.1%}: prompt it with such examples instead of tuning it, and retrieve "
        "facts that its answers lack; to train all the same, raise spec.evaluation.baseline.stopIfAtLeast, or set "
        "it to 0"
    )
    error = Failure("FailedPrecondition", reason)
    return replace(seen, state=State.FAILED, reason=reason, error=error, details=details)


def _request(
    run: Run, evaluation_id: str, repeat: str = "", *, validate_only: bool = False
) -> evaluation_pb2.CreateEvaluationRequest:
    base = run.artifact("base-model")
    spec = {"model": base, "baseModel": base, "evaluation": run.spec["evaluation"], "baseline": True}
    return evaluation_pb2.CreateEvaluationRequest(
        parent=run.parent,
        evaluation_id=evaluation_id,
        spec=schema.parse(evaluation_pb2.EvaluationJobSpec, spec),
        request_id=repeat,
        validate_only=validate_only,
    )
