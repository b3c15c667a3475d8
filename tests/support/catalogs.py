"""A real catalog beside the service under test."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from posology.catalog import app, convert
from posology.catalog.servicer import CatalogServicer
from posology.catalog.settings import Settings
from posology.core.errors import NotFound
from posology.core.rpc import server
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import evaluation_pb2, evaluation_pb2_grpc

ADOPTED = ("default", "test", "other")


class Adopting(CatalogServicer):
    """Takes what a test published into the store itself as made in the namespaces of `ADOPTED`, as if a service had
    registered it; of others it knows what was registered there."""

    async def GetArtifact(self, request: pb.GetArtifactRequest, call: Any) -> pb.Artifact:
        try:
            return await super().GetArtifact(request, call)
        except NotFound:
            namespace, digest = convert.split_name(request.name)
            if namespace not in ADOPTED or not self._candidates.exists(digest):
                raise
            parent = f"namespaces/{namespace}"
            made = pb.CreateArtifactRequest(parent=parent, artifact=pb.Artifact(digest=digest))
            return await self.CreateArtifact(made, call)


class NothingStands(evaluation_pb2_grpc.EvaluationServicer):
    """An evaluation that knows of no FAIL; it answers nothing else."""

    async def ListFailures(self, request: evaluation_pb2.ListFailuresRequest, _: Any) -> Any:
        return evaluation_pb2.ListFailuresResponse()

    async def ListFailedWeights(self, request: evaluation_pb2.ListFailedWeightsRequest, _: Any) -> Any:
        return evaluation_pb2.ListFailedWeightsResponse()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving_catalog(data_dir: Path, *, adopts: bool = True, **settings_of_its_own: Any) -> AsyncIterator[str]:
    """The catalog of the installation in `data_dir`, which must hold a token; yields its address."""
    listen = f"127.0.0.1:{_free_port()}"  # beside it, at the same address, is the evaluation that it asks
    settings = Settings(
        data_dir=data_dir, metrics_port=-1, listen=listen, evaluation_address=listen, **settings_of_its_own
    )
    async with AsyncExitStack() as stack:
        built = await app.build(settings, stack, served=Adopting if adopts else CatalogServicer)

        def add(grpc_server: grpc.aio.Server) -> None:
            built.add(grpc_server)
            evaluation_pb2_grpc.add_EvaluationServicer_to_server(NothingStands(), grpc_server)  # type: ignore[abstract]

        runner = server.Server(
            name="catalog",
            settings=settings,
            add=add,
            service_names=built.service_names,
            background=built.background,
        )
        yield await stack.enter_async_context(server.running(runner))
