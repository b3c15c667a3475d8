"""The attack of the last act: refused weights, evaluated against themselves, with a gate that they can't but hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from examples.demo.follow import stage
from posology.client import Client, load_run
from posology.core import schema
from posology.core.errors import PosologyError
from posology.v1alpha1 import evaluation_pb2, job_pb2
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun


async def attack(client: Client, run: FineTuneRun, file: Path, **parameters: str) -> dict[str, Any]:
    """Evaluate the run's weights with themselves as the base, and try to deploy them with the PASS that comes out.

    The evaluation is honest and so is its signature: nothing was lost against itself. What the installation's release
    policy asks for is another thing, and not the submitter's to say.
    """
    weights = stage(run, "merge").artifact
    stated = schema.to_mapping(load_run(file, parameters=parameters).spec)["evaluation"]
    suites = [suite for suite in stated["suites"] if suite["name"] == "refusal"]
    evaluation = {"engine": stated["engine"], "suites": suites, "gates": [{"suite": "refusal", "maxDrop": 0.10}]}
    name = run.spec.serving.model_name
    spec = {"model": weights, "baseModel": weights, "evaluation": evaluation, "modelName": name}
    made = await client.evaluation.CreateEvaluation(
        evaluation_pb2.CreateEvaluationRequest(
            parent=client.names.parent,
            evaluation_id="against-itself",
            spec=schema.parse(evaluation_pb2.EvaluationJobSpec, spec),
        )
    )
    async for _ in client.evaluation.WatchEvaluation(job_pb2.WatchJobRequest(name=made.name)):
        pass
    verdict = await client.evaluation.IssueVerdict(
        evaluation_pb2.IssueVerdictRequest(
            parent=client.names.parent, verdict_id="against-itself", evaluation=made.name
        )
    )
    outcome = Verdict.Outcome.Name(verdict.outcome)
    try:
        await client.deploy(weights, name=name, verdict=verdict.artifact)
    except PosologyError as error:
        return {"verdict": outcome, "deployment": f"refused: {error}"}
    raise SystemExit("weights that were compared with themselves were deployed: this must never happen")
