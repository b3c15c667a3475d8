"""Composition root: `python -m posology.curation.app` serves curation."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import grpc.aio

from posology.core import settings as environment
from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.service.build import build_jobs
from posology.core.jobs.service.jobs import SERVICE_NAME
from posology.core.model_endpoints.document import Registry
from posology.core.registrar import Registrar
from posology.core.rpc import server
from posology.core.rpc.client import connect
from posology.core.rpc.digests import CatalogListings
from posology.core.signing import Signer
from posology.core.store import Database
from posology.curation import convert, origins
from posology.curation.feedback.gateway import GatewayAnswers
from posology.curation.feedback.service import Feedback
from posology.curation.review.service import Reviews
from posology.curation.rights import RIGHTS
from posology.curation.servicer import DATASET, GENERAL_SET, PREFERENCES, CurationServicer
from posology.curation.settings import Settings
from posology.v1alpha1 import catalog_pb2_grpc, curation_pb2, curation_pb2_grpc, gateway_pb2_grpc

NAME = curation_pb2.DESCRIPTOR.services_by_name["Curation"].full_name
WORKER = "posology.curation.worker"


async def build(settings: Settings, stack: AsyncExitStack) -> server.Server:
    """Curation over its database and stores; what must be closed goes on `stack`."""
    db = Database(settings.database_url, schema=settings.service)
    stack.push_async_callback(db.close)
    await db.migrate("posology.core.audit", "posology.core.jobs", "posology.curation")
    artifacts = ArtifactStore(settings.candidates_url)
    channel = await stack.enter_async_context(connect(settings, "catalog"))
    catalog = catalog_pb2_grpc.CatalogStub(channel)
    registrar = Registrar(catalog)

    jobs = build_jobs(settings, db, commands=commands(settings), on_published=registrar.register_published)
    signer = Signer.load_or_create(settings.keys_dir / f"{settings.service}.key")
    grace = timedelta(seconds=settings.review_grace_seconds)
    reviews = Reviews(db, artifacts, signer, registrar, grace=grace)
    gateway = gateway_pb2_grpc.GatewayStub(await stack.enter_async_context(connect(settings, "gateway")))
    feedback = Feedback(db, GatewayAnswers(gateway), erase_seconds=settings.feedback_erase_seconds)
    servicer = CurationServicer(jobs, reviews, feedback, settings.limits, Registry(settings.model_endpoints_dir))

    def add(grpc_server: grpc.aio.Server) -> None:
        curation_pb2_grpc.add_CurationServicer_to_server(servicer, grpc_server)
        jobs.add_to(grpc_server)

    return server.Server(
        name=settings.service,
        settings=settings,
        add=add,
        service_names=(NAME, SERVICE_NAME),
        rights=RIGHTS,
        listings=CatalogListings(catalog),
        chains={settings.service: db},
        exempt=(SERVICE_NAME,),
        on_ready=(jobs.ready,),
        background=(jobs.run, reviews.run, feedback.run),
        on_drain=(jobs.drain,),
    )


def commands(settings: Settings) -> dict[str, Command]:
    """All kinds of jobs run in the same worker; it may read what the service may read, and nothing is downloaded."""
    resources = Resources(cpus=settings.worker_cpus, memory=settings.worker_memory)
    command = Command(
        WORKER,
        resources=resources,
        environment=settings.environment | {"HF_HUB_OFFLINE": "1"},
        endpoints_of=convert.endpoints_of,
    )
    return {
        DATASET: replace(command, origin_of=origins.of_dataset),
        GENERAL_SET: replace(command, origin_of=origins.of_general),
        PREFERENCES: replace(command, origin_of=origins.of_preferences),
    }


async def serve() -> None:
    """Run until told to stop."""
    async with AsyncExitStack() as stack:
        await server.run(await build(environment.load(Settings), stack))


def main() -> None:
    """Entry point of the process."""
    server.launch(serve)


if __name__ == "__main__":
    main()
