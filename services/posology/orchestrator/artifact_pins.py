"""A run holds what its stages published, so that garbage collection leaves it alone while anybody may need it."""

from typing import Protocol

from posology.core.errors import NotFound
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Run
from posology.v1alpha1 import catalog_pb2


class ArtifactPins(Protocol):
    """Who may hold artifacts for a run. Both methods are safe to repeat."""

    async def hold(self, run: Run, digest: str) -> None:
        """Keep an artifact, and all that it was made from."""

    async def let_go(self, run: Run) -> None:
        """Keep nothing more: the run failed or was cancelled."""


class CatalogPins:
    """Pins in the catalog, in the run's name."""

    def __init__(self, clients: Clients) -> None:
        self._catalog = clients.catalog

    async def hold(self, run: Run, digest: str) -> None:
        """Pin it."""
        await self._catalog.PinArtifact(_request(run, digest))

    async def let_go(self, run: Run) -> None:
        """Unpin what the stages published; what is gone already needs no unpinning."""
        for digest in {stage.artifact for stage in run.stages if stage.artifact}:
            try:
                await self._catalog.UnpinArtifact(_request(run, digest))
            except NotFound:
                continue


def _request(run: Run, digest: str) -> catalog_pb2.PinArtifactRequest:
    name = f"{run.parent}/artifacts/{digest.removeprefix('sha256:')}"
    return catalog_pb2.PinArtifactRequest(name=name, holder=run.name)
