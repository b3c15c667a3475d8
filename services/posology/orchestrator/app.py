"""Composition root: `python -m posology.orchestrator.app` serves runs, and the catalog beside them."""

from contextlib import AsyncExitStack

import grpc.aio

from posology.catalog import app as catalog
from posology.catalog.settings import Settings as CatalogSettings
from posology.core import settings as environment
from posology.core.rpc import server
from posology.core.rpc.digests import CatalogListings
from posology.core.store import Database
from posology.orchestrator import clients, metrics, stages
from posology.orchestrator.artifact_pins import CatalogPins
from posology.orchestrator.reconciler import Reconciler
from posology.orchestrator.review_watcher import ReviewWatcher
from posology.orchestrator.rights import RIGHTS
from posology.orchestrator.servicer import OrchestratorServicer
from posology.orchestrator.settings import Settings
from posology.v1alpha1 import orchestrator_pb2, orchestrator_pb2_grpc

NAME = orchestrator_pb2.DESCRIPTOR.services_by_name["Orchestrator"].full_name


async def build(settings: Settings, stack: AsyncExitStack) -> server.Server:
    """The orchestrator over its database and the other services; what must be closed goes on `stack`."""
    db = Database(settings.database_url, schema=settings.service)
    stack.push_async_callback(db.close)
    await db.migrate("posology.core.audit", "posology.orchestrator")
    services = await stack.enter_async_context(clients.connected(settings))
    reconciler = Reconciler(
        db,
        stages.drivers(services, db=db, users_are_known=settings.authentication != "token"),
        CatalogPins(services),
        lease_seconds=settings.lease_seconds,
        poll_seconds=settings.poll_seconds,
        concurrency=settings.concurrency,
    )

    async def gauges() -> None:
        await metrics.watch(db)

    watcher = ReviewWatcher(db, services, reconciler, settings.review_poll_seconds)
    beside = await catalog.build(environment.load(CatalogSettings), stack)

    def add(grpc_server: grpc.aio.Server) -> None:
        orchestrator_pb2_grpc.add_OrchestratorServicer_to_server(
            OrchestratorServicer(db, services, reconciler, users_are_known=settings.authentication != "token"),
            grpc_server,
        )
        beside.add(grpc_server)

    return server.Server(
        name=settings.service,
        settings=settings,
        add=add,
        service_names=(NAME, *beside.service_names),
        rights={**RIGHTS, **beside.rights},
        listings=CatalogListings(services.catalog),
        chains={settings.service: db, **beside.chains},
        background=(reconciler.run, watcher.run, gauges, *beside.background),
    )


async def serve() -> None:
    """Run until told to stop."""
    async with AsyncExitStack() as stack:
        await server.run(await build(environment.load(Settings), stack))


def main() -> None:
    """Entry point of the process."""
    server.launch(serve)


if __name__ == "__main__":
    main()
