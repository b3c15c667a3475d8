"""Training's composition root."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.service.build import build_jobs
from posology.core.jobs.service.jobs import SERVICE_NAME, Jobs
from posology.core.jobs.service.publisher import Published
from posology.core.model_endpoints.document import Registry
from posology.core.registrar import Registrar
from posology.core.rpc.client import connect
from posology.core.rpc.digests import CatalogListings, Listings
from posology.core.rpc.server import Server, launch, run
from posology.core.settings import PREFIX, load
from posology.core.signing import Signer
from posology.core.store import Database
from posology.core.stored_secrets import secret
from posology.training import convert
from posology.training.base_models.models import Models
from posology.training.origins import Origins
from posology.training.planning.expectation import expectation
from posology.training.provenance import Provenance
from posology.training.rights import RIGHTS
from posology.training.servicer import BASE_MODEL, PREFLIGHT, TRAINING, TrainingServicer
from posology.training.settings import Settings
from posology.v1alpha1.catalog_pb2_grpc import CatalogStub
from posology.v1alpha1.training_pb2_grpc import add_TrainingServicer_to_server

SERVICE = "posology.v1alpha1.Training"
WORKER = "posology.training.worker"
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # workers say nothing to anybody else
    # Threads that wait for the others by spinning take the CPU from them on a shared machine: 700 against 3,100
    # tokens/s with two threads at a load of eight.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Of every worker."""
MOST_NODES = 1024


@dataclass
class Training:
    """Everything that the process holds, put together."""

    settings: Settings
    jobs: Jobs
    servicer: TrainingServicer
    listings: Listings
    db: Database

    def server(self) -> Server:
        """What the runner needs."""
        return Server(
            name="training",
            settings=self.settings,
            add=self._register,
            service_names=(SERVICE, SERVICE_NAME),
            rights=RIGHTS,
            listings=self.listings,
            chains={self.settings.service: self.db},
            exempt=(SERVICE_NAME,),
            on_ready=(self.jobs.ready,),
            background=(self.jobs.run,),
            on_drain=(self.jobs.drain,),
        )

    def _register(self, server: grpc.aio.Server) -> None:
        add_TrainingServicer_to_server(self.servicer, server)
        self.jobs.add_to(server)


def commands(settings: Settings, models: Models, origins: Origins) -> dict[str, Command]:
    """How each kind of job is run."""
    default = Resources(cpus=settings.worker_cpus, memory=settings.worker_memory)

    async def expected(spec: Mapping[str, Any]) -> str:
        resources = convert.resources_from_spec(spec, default)
        return await expectation(convert.task_from_spec(spec), resources, models)

    return {
        TRAINING: Command(
            WORKER,
            default,
            # No worker of this kind may ask the hub for anything: its inputs are artifacts.
            environment={**ENVIRONMENT, "HF_HUB_OFFLINE": "1"},
            resources_of=lambda spec: convert.resources_from_spec(spec, default),
            expectation_of=expected,
            origin_of=origins.trained,
        ),
        PREFLIGHT: Command(
            WORKER,
            default,  # of the installation: neither GPUs nor the node pool of the training that it looks at
            environment={**ENVIRONMENT, "HF_HUB_OFFLINE": "1", f"{PREFIX}DEVICE": settings.device},
            origin_of=origins.trained,
        ),
        BASE_MODEL: Command(
            WORKER, default, environment={**ENVIRONMENT, **settings.environment}, origin_of=origins.imported
        ),
    }


def _secrets(settings: Settings) -> Callable[[str], str | None]:
    """The value of a hub's secret where this process may read it: beside local workers, never on a cluster."""

    def read(reference: str) -> str | None:
        if settings.launcher == "kubernetes":
            return None
        return secret(reference, folder=settings.data_dir / "secrets")

    return read


def _most_nodes(settings: Settings) -> int:
    """Pods find each other by a Service; processes of this machine have one node."""
    pods = settings.worker_pods
    return MOST_NODES if settings.launcher == "kubernetes" and pods is not None and pods.peers else 1


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Training]:
    """Training with its database migrated and its key made."""
    async with AsyncExitStack() as stack:
        db = Database(settings.database_url, schema=settings.service)
        stack.push_async_callback(db.close)
        await db.migrate("posology.core.audit", "posology.core.jobs", "posology.training")
        provenance = Provenance(db, Signer.load_or_create(settings.keys_dir / "training.key"))
        catalog = CatalogStub(await stack.enter_async_context(connect(settings, "catalog")))
        registrar = Registrar(catalog)

        async def attested(published: Published) -> None:
            await provenance.sign(published)
            await registrar.register_published(published)

        stores = [ArtifactStore(url) for url in (settings.candidates_url, settings.released_url)]
        models = Models(stores, settings.rules, hub=settings.hub_endpoint, secret=_secrets(settings))
        origins = Origins(stores, settings.rules)
        jobs = build_jobs(settings, db, commands=commands(settings, models, origins), on_published=attested)
        servicer = TrainingServicer(
            jobs,
            provenance,
            models,
            rules=settings.rules,
            model_endpoints=Registry(settings.model_endpoints_dir),
            device=settings.device,
            most_nodes=_most_nodes(settings),
        )
        yield Training(settings, jobs, servicer, CatalogListings(catalog), db)


async def serve() -> None:
    """Run until told to stop."""
    async with build(load(Settings)) as training:
        await run(training.server())


def main() -> None:
    """`python -m posology.training.app`."""
    launch(serve)


if __name__ == "__main__":
    main()
