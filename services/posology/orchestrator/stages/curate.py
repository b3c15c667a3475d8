"""curate, corrections: from sources to a data set, and to a corrected version of it."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import curation_pb2


class Curate:
    """Curation makes the data set."""

    def __init__(self, clients: Clients) -> None:
        self._curation = clients.curation

    def spec(self, run: Run) -> Mapping[str, Any]:
        """The DatasetSpec in its JSON mapping: curation without reviews and preferences, which come after.

        General rows are a stage of their own; a run from before that stage has them among those of its data set.
        """
        apart = {"review", "preferences", "corrections"} | ({"general"} if run.stage("general") else set())
        curation = {name: value for name, value in run.spec["curation"].items() if name not in apart}
        suites = [suite["uri"] for suite in run.spec["evaluation"].get("suites", [])]
        return {"curation": curation, "suiteUris": suites}

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The spec and the bytes behind its URIs; how the result is reviewed does not change it."""
        checked = await self._curation.CreateDataset(self._request(run, "check", validate_only=True))
        return {"spec": schema.to_mapping(checked.spec), "sources": checked.source_sha256}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the data set."""
        request = self._request(run, resource_id(run, stage), request_id(run, stage))
        dataset = await self._curation.CreateDataset(request)
        return observed(dataset.name, dataset.status)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the data set stands."""
        dataset = await self._curation.GetDataset(curation_pb2.GetDatasetRequest(name=stage.resource))
        return observed(dataset.name, dataset.status)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._curation.CancelDataset(curation_pb2.CancelDatasetRequest(name=stage.resource))

    def _request(
        self, run: Run, dataset_id: str, repeat: str = "", *, validate_only: bool = False
    ) -> curation_pb2.CreateDatasetRequest:
        return curation_pb2.CreateDatasetRequest(
            parent=run.parent,
            dataset_id=dataset_id,
            spec=schema.parse(curation_pb2.DatasetSpec, self.spec(run)),
            request_id=repeat,
            validate_only=validate_only,
        )


class Corrections(Curate):
    """What experts corrected becomes a new version of the data set."""

    def spec(self, run: Run) -> Mapping[str, Any]:
        """The data set and the corrections; how it was made is the base's to say."""
        curation = run.spec["curation"]
        named = {"sources": curation["sources"], "corrections": curation["corrections"]}
        return {"curation": named, "base": run.artifact("curate")}


def data_of(run: Run) -> str:
    """Digest of the data set that is reviewed: corrected, where the spec says so."""
    return run.artifact("corrections") or run.artifact("curate")
