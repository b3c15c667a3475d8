"""Stubs of the services that do the work."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from posology.core.rpc.client import connect
from posology.core.settings import ServiceSettings
from posology.v1alpha1 import (
    audit_pb2_grpc,
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
    audits: Mapping[str, audit_pb2_grpc.AuditAsyncStub] = field(default_factory=dict)
    """By service; the catalog's chain is served with the orchestrator's."""


@asynccontextmanager
async def connected(settings: ServiceSettings) -> AsyncIterator[Clients]:
    """Channels to every service; they connect when first used, so the order of starting does not matter."""
    async with AsyncExitStack() as stack:

        async def open_channel(service: str):  # type: ignore[no-untyped-def]  # grpc's stubs take any channel
            return await stack.enter_async_context(connect(settings, service))

        names = ("catalog", "curation", "training", "evaluation", "serving", "gateway")
        channels = {name: await open_channel(name) for name in names}
        yield Clients(
            catalog_pb2_grpc.CatalogStub(channels["catalog"]),
            curation_pb2_grpc.CurationStub(channels["curation"]),
            training_pb2_grpc.TrainingStub(channels["training"]),
            evaluation_pb2_grpc.EvaluationStub(channels["evaluation"]),
            serving_pb2_grpc.ServingStub(channels["serving"]),
            {name: audit_pb2_grpc.AuditStub(channel) for name, channel in channels.items()},
        )
