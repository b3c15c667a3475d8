"""Stubs of the services that do the work."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from posology.core.rpc.client import connect
from posology.core.settings import ServiceSettings
from posology.v1alpha1 import (
    catalog_pb2_grpc,
    curation_pb2_grpc,
    evaluation_pb2_grpc,
    serving_pb2_grpc,
    training_pb2_grpc,
)


@dataclass(frozen=True)
class Clients:
    """One stub per service."""

    catalog: catalog_pb2_grpc.CatalogAsyncStub
    curation: curation_pb2_grpc.CurationAsyncStub
    training: training_pb2_grpc.TrainingAsyncStub
    evaluation: evaluation_pb2_grpc.EvaluationAsyncStub
    serving: serving_pb2_grpc.ServingAsyncStub


@asynccontextmanager
async def connected(settings: ServiceSettings) -> AsyncIterator[Clients]:
    """Channels to every service; they connect when first used, so the order of starting does not matter."""
    async with AsyncExitStack() as stack:

        async def open_channel(service: str):  # type: ignore[no-untyped-def]  # grpc's stubs take any channel
            return await stack.enter_async_context(connect(settings, service))

        yield Clients(
            catalog_pb2_grpc.CatalogStub(await open_channel("catalog")),
            curation_pb2_grpc.CurationStub(await open_channel("curation")),
            training_pb2_grpc.TrainingStub(await open_channel("training")),
            evaluation_pb2_grpc.EvaluationStub(await open_channel("evaluation")),
            serving_pb2_grpc.ServingStub(await open_channel("serving")),
        )
