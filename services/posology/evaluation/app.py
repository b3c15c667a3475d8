"""Composition root: `python -m posology.evaluation.app` serves evaluations and verdicts."""

from contextlib import AsyncExitStack

import grpc.aio

from posology.core import settings as environment
from posology.core import signing
from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.service.build import build_jobs
from posology.core.jobs.service.jobs import SERVICE_NAME as WORKER_SERVICE
from posology.core.jobs.service.jobs import Published
from posology.core.model_endpoints.document import Registry
from posology.core.registrar import Registrar
from posology.core.rpc import server
from posology.core.rpc.client import connect
from posology.core.rpc.digests import CatalogListings
from posology.core.store import Database
from posology.evaluation import convert
from posology.evaluation.evaluations import KIND, Evaluations, origin_of
from posology.evaluation.rights import RIGHTS
from posology.evaluation.servicer import EvaluationServicer
from posology.evaluation.settings import Settings
from posology.evaluation.verdicts import Verdicts
from posology.v1alpha1 import catalog_pb2_grpc, evaluation_pb2, evaluation_pb2_grpc

NAME = evaluation_pb2.DESCRIPTOR.services_by_name["Evaluation"].full_name
WORKER = "posology.evaluation.worker"


async def build(settings: Settings, stack: AsyncExitStack, *, worker: str = WORKER) -> server.Server:
    """The service over its database and artifacts; what must be closed goes on `stack`."""
    db = Database(settings.database_url, schema=settings.service)
    stack.push_async_callback(db.close)
    await db.migrate("posology.core.audit", "posology.core.jobs", "posology.evaluation")
    artifacts = ArtifactStore(settings.candidates_url)

    channel = await stack.enter_async_context(connect(settings, "catalog"))
    catalog = catalog_pb2_grpc.CatalogStub(channel)
    registrar = Registrar(catalog)

    async def remember(published: Published) -> None:
        await evaluations.remember(published)
        await registrar.register_published(published)

    resources = Resources(cpus=settings.worker_cpus, memory=settings.worker_memory)
    command = Command(
        worker,
        resources=resources,
        environment=settings.worker_environment(),
        resources_of=lambda job: convert.resources_from_spec(job["spec"], resources),
        endpoints_of=convert.endpoints_of,
        origin_of=origin_of,
    )
    jobs = build_jobs(settings, db, commands={KIND: command}, on_published=remember)
    evaluations = Evaluations(
        db,
        jobs,
        artifacts,
        settings.allowed,
        convert.policy_from_spec,
        settings.release_policy_of,
        Registry(settings.model_endpoints_dir),
    )
    verdicts = Verdicts(
        db,
        evaluations,
        artifacts,
        signing.Signer.load_or_create(settings.keys_dir / "evaluation.key"),
        policy_of=convert.policy_from_spec,
        to_json=convert.gate_to_json,
        from_json=convert.gate_from_json,
        release_policy=settings.release_policy_of,
        review_keys=settings.trusted_review_keys,
    )

    def add(grpc_server: grpc.aio.Server) -> None:
        servicer = EvaluationServicer(evaluations, verdicts, registrar)
        evaluation_pb2_grpc.add_EvaluationServicer_to_server(servicer, grpc_server)
        jobs.add_to(grpc_server)

    return server.Server(
        name=settings.service,
        settings=settings,
        add=add,
        service_names=(NAME, WORKER_SERVICE),
        rights=RIGHTS,
        listings=CatalogListings(catalog),
        chains={settings.service: db},
        exempt=(WORKER_SERVICE,),
        on_ready=(jobs.ready,),
        background=(jobs.run,),
        on_drain=(jobs.drain,),
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
