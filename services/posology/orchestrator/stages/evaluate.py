"""evaluate: score the candidate and its base on the same items."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.core.errors import NotFound
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.jobs import observed
from posology.orchestrator.stages.train import adapter_of
from posology.v1alpha1 import catalog_pb2, evaluation_pb2


class Evaluate:
    """Evaluation scores; what the scores prove is the verdict's business."""

    def __init__(self, clients: Clients) -> None:
        self._evaluation = clients.evaluation
        self._catalog = clients.catalog

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Weights, spec and the bytes of the suites."""
        request = _request(run, "check", root=await self._root(run), validate_only=True)
        if "serving" not in run.spec:
            request.spec.model_name = ""  # a release policy is asked only where something is to be released
        checked = await self._evaluation.CreateEvaluation(request)
        spec = {**schema.to_mapping(checked.spec), "modelName": model_name(run)}
        if "doseOf" in run.spec:
            return {"spec": _without_holdout(_without_machine(spec)), "suites": checked.source_sha256}
        return {"spec": _without_machine(spec), "suites": checked.source_sha256}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the evaluation."""
        request = _request(run, resource_id(run, stage), request_id(run, stage), root=await self._root(run))
        made = await self._evaluation.CreateEvaluation(request)
        return observed(made.name, made.status)

    async def _root(self, run: Run) -> str:
        """The model at the root of what was tuned: gates compare with it. The base itself unless it was tuned too."""
        base = run.artifact("base-model")
        name = f"{run.parent}/artifacts/{base.removeprefix('sha256:')}"
        request = catalog_pb2.TraceArtifactRequest(name=name, direction=catalog_pb2.TraceArtifactRequest.ANCESTORS)
        try:
            behind = (await self._catalog.TraceArtifact(request)).artifacts
        except NotFound:
            return base
        models = [one for one in behind if one.kind in ("base-model", "model")]
        roots = [one.digest for one in models if not one.parents]
        return roots[-1] if roots else base

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the evaluation stands."""
        evaluation = await self._evaluation.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=stage.resource))
        return observed(evaluation.name, evaluation.status)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._evaluation.CancelEvaluation(evaluation_pb2.CancelEvaluationRequest(name=stage.resource))


def model_name(run: Run) -> str:
    """Name under which the run's weights may be served."""
    return str(run.spec.get("serving", {}).get("modelName") or run.run_id)


def _without_machine(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """All but where it runs; that GPUs answer, and not a CPU, is part of what is evaluated."""
    resources = spec["evaluation"]["resources"]
    return {**spec, "evaluation": {**spec["evaluation"], "resources": {"onGpus": resources["gpus"] > 0}}}


def _without_holdout(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """What decides the scores of a dose: neither the suites that gate nor the gates, nor a name to serve it under."""
    evaluation = {name: value for name, value in spec["evaluation"].items() if name not in ("gates", "parity")}
    evaluation["suites"] = [suite for suite in evaluation["suites"] if "development" in suite]
    return {**{name: value for name, value in spec.items() if name != "modelName"}, "evaluation": evaluation}


def _request(
    run: Run, evaluation_id: str, repeat: str = "", *, root: str, validate_only: bool = False
) -> evaluation_pb2.CreateEvaluationRequest:
    spec = {
        "model": run.artifact("merge"),
        "baseModel": root,
        "tunedFrom": base if (base := run.artifact("base-model")) != root else "",
        "adapter": "" if run.spec["training"]["sft"]["method"] == "FULL" else adapter_of(run),
        "evaluation": run.spec["evaluation"],
        "modelName": model_name(run),
    }
    if "doseOf" in run.spec:
        spec |= {"development": True, "modelName": ""}
    return evaluation_pb2.CreateEvaluationRequest(
        parent=run.parent,
        evaluation_id=evaluation_id,
        spec=schema.parse(evaluation_pb2.EvaluationJobSpec, spec),
        request_id=repeat,
        validate_only=validate_only,
    )
