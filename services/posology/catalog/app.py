"""Composition root of the catalog; the orchestrator's process serves it."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc.aio

from posology.catalog.deny_list import Publisher
from posology.catalog.rights import RIGHTS
from posology.catalog.servicer import CatalogServicer
from posology.catalog.settings import Settings
from posology.core.artifacts import ArtifactStore
from posology.core.release import deny_list
from posology.core.rpc.client import connect
from posology.core.rpc.rights import Table
from posology.core.signing import Signer
from posology.core.store import Database
from posology.v1alpha1 import catalog_pb2, catalog_pb2_grpc
from posology.v1alpha1.evaluation_pb2_grpc import EvaluationStub

NAME = catalog_pb2.DESCRIPTOR.services_by_name["Catalog"].full_name


@dataclass(frozen=True)
class Catalog:
    """What a process needs to serve the catalog."""

    add: Callable[[grpc.aio.Server], None]
    service_names: tuple[str, ...] = (NAME,)
    rights: Table = field(default_factory=lambda: RIGHTS)
    background: tuple[Callable[[], Awaitable[None]], ...] = ()
    chains: Mapping[str, Database] = field(default_factory=dict)


async def build(
    settings: Settings, stack: AsyncExitStack, *, served: type[CatalogServicer] = CatalogServicer
) -> Catalog:
    """The catalog over its own database and the candidates' store; what must be closed goes on `stack`."""
    db = Database(settings.database_url, schema=settings.service)
    stack.push_async_callback(db.close)
    await db.migrate("posology.core.audit", "posology.catalog")
    signer = Signer.load_or_create(settings.keys_dir / f"{deny_list.KEY}.key")
    evaluation = EvaluationStub(await stack.enter_async_context(connect(settings, "evaluation")))
    publisher = Publisher(
        db, signer, settings.deny_list_file, evaluation, settings.deny_list_seconds, settings.keys_dir
    )
    await publisher.publish()  # agents that start now find a list
    servicer = served(db, ArtifactStore(settings.candidates_url), publisher)
    return Catalog(
        lambda server: catalog_pb2_grpc.add_CatalogServicer_to_server(servicer, server),
        background=(publisher.run,),
        chains={settings.service: db},
    )
