"""Telling the catalog of what a service published, so that lineage, pins and garbage collection know it."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from typing import TYPE_CHECKING

from posology.core import names
from posology.core.jobs.service.publisher import Published
from posology.v1alpha1 import catalog_pb2 as pb

if TYPE_CHECKING:
    from posology.v1alpha1.catalog_pb2_grpc import CatalogAsyncStub


class Registrar:
    """Registers artifacts; doing it again changes nothing."""

    def __init__(self, catalog: CatalogAsyncStub) -> None:
        self._catalog = catalog

    async def register_published(self, published: Published) -> None:
        """What a job published, in the job's namespace."""
        await self.register(names.namespace_of(published.job.name), published.digest)

    async def register(self, namespace: str, digest: str) -> None:
        """The catalog reads the rest in the store. Raises Unavailable while it is away: call again then."""
        artifact = pb.Artifact(digest=digest)
        await self._catalog.CreateArtifact(
            pb.CreateArtifactRequest(parent=names.parent_of(namespace), artifact=artifact)
        )
