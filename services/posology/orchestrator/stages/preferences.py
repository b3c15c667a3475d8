"""preferences: chosen and rejected answers for DPO."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.stages.curate import data_of
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import curation_pb2


class Preferences:
    """Curation makes the preference set from the data set."""

    def __init__(self, clients: Clients) -> None:
        self._curation = clients.curation

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The data set and what is asked of the pairs, with the model that a model endpoint stands for."""
        request = curation_pb2.CreatePreferenceSetRequest(
            parent=run.parent,
            preference_set_id="check",
            spec=schema.parse(curation_pb2.PreferenceSetSpec, _spec(run)),
            validate_only=True,
        )
        checked = await self._curation.CreatePreferenceSet(request)
        own = {"sources": checked.source_sha256} if checked.source_sha256 else {}
        return schema.to_mapping(checked.spec) | own

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the pairs."""
        request = curation_pb2.CreatePreferenceSetRequest(
            parent=run.parent,
            preference_set_id=resource_id(run, stage),
            spec=schema.parse(curation_pb2.PreferenceSetSpec, _spec(run)),
            request_id=request_id(run, stage),
        )
        made = await self._curation.CreatePreferenceSet(request)
        return observed(made.name, made.status)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the pairs stand."""
        preference_set = await self._curation.GetPreferenceSet(
            curation_pb2.GetPreferenceSetRequest(name=stage.resource)
        )
        return observed(preference_set.name, preference_set.status)

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._curation.CancelPreferenceSet(curation_pb2.CancelPreferenceSetRequest(name=stage.resource))


def _spec(run: Run) -> dict[str, Any]:
    """From the data set; one's own preferences from their file alone, checked against the run's suites."""
    curation = run.spec["curation"]
    generation = {k: v for k, v in curation["preferences"].items() if k != "review"}
    common = {"preferences": generation, "seed": curation["seed"]}
    if generation.get("uri"):
        suites = [suite["uri"] for suite in run.spec["evaluation"].get("suites", [])]
        return {**common, "suiteUris": suites}
    return {**common, "dataset": data_of(run), "teacher": curation["teacher"]}
