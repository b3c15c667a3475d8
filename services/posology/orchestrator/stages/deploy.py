"""deploy: released weights go behind the endpoint, after an approval where the spec wants one."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Failure, Observation, Run, Stage, State
from posology.orchestrator.driver import request_id
from posology.v1alpha1 import engine_pb2, serving_pb2
from posology.v1alpha1.serving_pb2 import Deployment


class Deploy:
    """Serving starts engines; the stage is done when they answer."""

    def __init__(self, clients: Clients, *, users_are_known: bool = False) -> None:
        self._serving = clients.serving
        self._users_are_known = users_are_known

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """A deployment is a thing in the world, not a result to reuse."""
        return None

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Wait for the approval, or ask for the deployment."""
        if needs_approval(run, users_are_known=self._users_are_known) and stage.stage not in run.approvals:
            return Observation(State.PAUSED, f"waits for a person: posology approve {run.run_id}")
        if run.approvals.get(stage.stage) is False:
            return _refused("the deployment was not approved")
        return _observed(await self._serving.CreateDeployment(_request(run, stage)))

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the deployment stands; without one, whether the approval is there."""
        if not stage.resource:
            return await self.start(run, stage)
        return _observed(await self._serving.GetDeployment(serving_pb2.GetDeploymentRequest(name=stage.resource)))

    async def cancel(self, run: Run, stage: Stage) -> None:
        """A cancelled run never withdraws a deployment."""


def needs_approval(run: Run, *, users_are_known: bool) -> bool:
    """Whether a second person must agree: where the spec says so, and wherever users are told apart. Whoever submitted
    a run does not release it, whatever its rollout says."""
    return run.spec["serving"]["rollout"] == "MANUAL" or users_are_known


def _request(run: Run, stage: Stage) -> serving_pb2.CreateDeploymentRequest:
    spec = {"modelName": run.run_id, **run.spec["serving"]}
    return serving_pb2.CreateDeploymentRequest(
        parent=run.parent,
        deployment_id=f"{run.run_id[:48]}-{run.uid}",
        model=run.artifact("merge"),
        verdict=run.artifact("verdict"),
        spec=schema.parse(serving_pb2.ServingSpec, spec),
        engine=schema.parse(engine_pb2.EngineConfig, run.spec["evaluation"]["engine"]),
        run=run.name,
        request_id=request_id(run, stage),
    )


def _observed(deployment: Deployment) -> Observation:
    if deployment.state == Deployment.READY:
        summary = f"{deployment.model_name} answers from {deployment.ready_replicas} engine(s)"
        return Observation(State.SUCCEEDED, summary, resource=deployment.name)
    if deployment.state in (Deployment.FAILED, Deployment.STOPPED):
        return _refused(deployment.reason or "the deployment was stopped", deployment.name)
    name = Deployment.State.Name(deployment.state).lower()
    return Observation(State.RUNNING, deployment.reason or name, resource=deployment.name)


def _refused(reason: str, resource: str = "") -> Observation:
    return Observation(State.FAILED, reason, resource=resource, error=Failure("FailedPrecondition", reason))
