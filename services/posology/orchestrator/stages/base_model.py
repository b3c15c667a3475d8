"""base-model: import what the run starts from."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import training_pb2


class BaseModel:
    """Training imports the model; the artifact's digest is what everything later is trained on."""

    def __init__(self, clients: Clients) -> None:
        self._training = clients.training

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """A pinned commit is the same for ever; a folder may have changed, so it is read again."""
        source = run.spec["baseModel"]
        return dict(source) if source["uri"].startswith("hf://") else None

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the import."""
        request = training_pb2.CreateBaseModelRequest(
            parent=run.parent,
            base_model_id=resource_id(run, stage),
            spec=schema.parse(training_pb2.BaseModelSpec, run.spec["baseModel"]),
            request_id=request_id(run, stage),
        )
        model = await self._training.CreateBaseModel(request)
        return observed(model.name, model.status)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the import stands."""
        model = await self._training.GetBaseModel(training_pb2.GetBaseModelRequest(name=stage.resource))
        return observed(model.name, model.status)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the import; nothing of it becomes visible."""
        await self._training.CancelBaseModel(training_pb2.CancelBaseModelRequest(name=stage.resource))
