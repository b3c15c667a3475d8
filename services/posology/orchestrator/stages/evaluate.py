"""evaluate: score the candidate and its base on the same items."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.jobs import observed
from posology.orchestrator.stages.train import adapter_of
from posology.v1alpha1 import evaluation_pb2


class Evaluate:
    """Evaluation scores; what the scores prove is the verdict's business."""

    def __init__(self, clients: Clients) -> None:
        self._evaluation = clients.evaluation

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Weights, spec and the bytes of the suites."""
        checked = await self._evaluation.CreateEvaluation(_request(run, "check", validate_only=True))
        return {"spec": _without_machine(schema.to_mapping(checked.spec)), "suites": checked.source_sha256}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the evaluation."""
        made = await self._evaluation.CreateEvaluation(_request(run, resource_id(run, stage), request_id(run, stage)))
        return observed(made.name, made.status)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the evaluation stands."""
        evaluation = await self._evaluation.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=stage.resource))
        return observed(evaluation.name, evaluation.status)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._evaluation.CancelEvaluation(evaluation_pb2.CancelEvaluationRequest(name=stage.resource))


def _without_machine(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """All but where it runs; that GPUs answer, and not a CPU, is part of what is evaluated."""
    resources = spec["evaluation"]["resources"]
    return {**spec, "evaluation": {**spec["evaluation"], "resources": {"onGpus": resources["gpus"] > 0}}}


def _request(
    run: Run, evaluation_id: str, repeat: str = "", *, validate_only: bool = False
) -> evaluation_pb2.CreateEvaluationRequest:
    spec = {
        "model": run.artifact("merge"),
        "baseModel": run.artifact("base-model"),
        "adapter": "" if run.spec["training"]["sft"]["method"] == "FULL" else adapter_of(run),
        "evaluation": run.spec["evaluation"],
    }
    return evaluation_pb2.CreateEvaluationRequest(
        parent=run.parent,
        evaluation_id=evaluation_id,
        spec=schema.parse(evaluation_pb2.EvaluationJobSpec, spec),
        request_id=repeat,
        validate_only=validate_only,
    )
