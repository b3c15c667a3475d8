"""What was withdrawn may not serve: weights, and weights that rest on anything that was."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from typing import TYPE_CHECKING

from posology.core.errors import NotFound
from posology.serving.domain import Withdrawn
from posology.v1alpha1 import catalog_pb2 as pb

if TYPE_CHECKING:
    from posology.v1alpha1.catalog_pb2_grpc import CatalogAsyncStub


class Withdrawals:
    """Asks the catalog, which owns quarantine and lineage."""

    def __init__(self, catalog: CatalogAsyncStub) -> None:
        self._catalog = catalog

    async def check(self, namespace: str, model: str) -> None:
        """Withdrawn if the weights or anything behind them was; Unavailable while nobody can tell."""
        name = f"namespaces/{namespace}/artifacts/{model.removeprefix('sha256:')}"
        request = pb.TraceArtifactRequest(name=name, direction=pb.TraceArtifactRequest.ANCESTORS)
        try:
            ancestors = await self._catalog.TraceArtifact(request)
        except NotFound:
            return  # weights that came from elsewhere with their verdict: nothing was withdrawn here
        for artifact in ancestors.artifacts:
            if artifact.quarantine_reason:
                raise Withdrawn(_words(model, artifact))


def _words(model: str, artifact: pb.Artifact) -> str:
    what = "was" if artifact.digest == model else f"rests on the {artifact.kind} {artifact.digest}, which was"
    return f"{model} {what} withdrawn ({artifact.quarantine_reason}), so it may not serve; train on what is good"
