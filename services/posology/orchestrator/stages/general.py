"""general: the rows that keep a model's other abilities, apart from those that experts read."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import curation_pb2


class General:
    """Curation makes the general set; training mixes in the share that the spec asks for."""

    def __init__(self, clients: Clients) -> None:
        self._curation = clients.curation

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The file and what it is checked against, with their bytes; the share is no part of it."""
        checked = await self._curation.CreateGeneralSet(_request(run, "check", validate_only=True))
        return {"spec": schema.to_mapping(checked.spec), "sources": checked.source_sha256}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the general set."""
        made = await self._curation.CreateGeneralSet(_request(run, resource_id(run, stage), request_id(run, stage)))
        return observed(made.name, made.status)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the general set stands."""
        made = await self._curation.GetGeneralSet(curation_pb2.GetGeneralSetRequest(name=stage.resource))
        return observed(made.name, made.status)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._curation.CancelGeneralSet(curation_pb2.CancelGeneralSetRequest(name=stage.resource))


def _request(
    run: Run, general_set_id: str, repeat: str = "", *, validate_only: bool = False
) -> curation_pb2.CreateGeneralSetRequest:
    curation = run.spec["curation"]
    spec = {
        "uri": curation["general"]["uri"],
        "deduplicate": curation.get("deduplicate", {}),
        "suiteUris": [suite["uri"] for suite in run.spec["evaluation"].get("suites", [])],
    }
    return curation_pb2.CreateGeneralSetRequest(
        parent=run.parent,
        general_set_id=general_set_id,
        spec=schema.parse(curation_pb2.GeneralSetSpec, spec),
        request_id=repeat,
        validate_only=validate_only,
    )
