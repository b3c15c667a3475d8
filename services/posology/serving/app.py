"""Serving's composition root."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from posology.core import http_tls
from posology.core.artifacts import ArtifactStore
from posology.core.rpc.client import connect
from posology.core.rpc.server import Server, launch, run
from posology.core.rpc.tls import Files
from posology.core.settings import load
from posology.core.store import Database
from posology.serving import metrics
from posology.serving.autoscaler import Autoscaler
from posology.serving.controller import Controller, rules_of
from posology.serving.deployments import Deployments
from posology.serving.engine_load import Loads
from posology.serving.failures import Failures
from posology.serving.kubernetes.manifest import Renderer
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.kubernetes.teams import TeamLauncher
from posology.serving.launcher import Launcher
from posology.serving.local import LocalLauncher, Place
from posology.serving.release import Releaser
from posology.serving.rights import RIGHTS
from posology.serving.routing import Routing
from posology.serving.servicer import ServingServicer
from posology.serving.settings import Settings
from posology.serving.withdrawals import Withdrawals
from posology.v1alpha1 import catalog_pb2_grpc, evaluation_pb2_grpc
from posology.v1alpha1.serving_pb2_grpc import add_ServingServicer_to_server

SERVICE = "posology.v1alpha1.Serving"


@dataclass
class Serving:
    """Everything that the process holds, put together."""

    settings: Settings
    db: Database
    controller: Controller
    autoscaler: Autoscaler
    servicer: ServingServicer

    def server(self) -> Server:
        """What the runner needs."""
        return Server(
            name="serving",
            settings=self.settings,
            add=self._register,
            service_names=(SERVICE,),
            rights=RIGHTS,
            chains={self.settings.service: self.db},
            background=(self.controller.run, self.autoscaler.run, self._gauges),
            on_drain=(self._drain,),
        )

    def _register(self, server: grpc.aio.Server) -> None:
        add_ServingServicer_to_server(self.servicer, server)

    async def _gauges(self) -> None:
        await metrics.watch(self.db, self.autoscaler)

    async def _drain(self) -> None:
        self.controller.changed.notify()  # watchers see the shutdown now instead of at their next look
        if self.settings.stop_engines and self.settings.launcher == "local":
            await self.controller.stop_engines(within=self.settings.stop_seconds)


def chosen_launcher(settings: Settings, stack: AsyncExitStack) -> Launcher:
    """As the settings say; what must be closed goes on `stack`."""
    if settings.engine_pods is None or settings.launcher == "local":
        return local_launcher(settings)
    cluster = kubernetes_launcher(settings, settings.engine_pods)
    stack.push_async_callback(cluster.close)
    return cluster


def kubernetes_launcher(settings: Settings, pods: EnginePods) -> TeamLauncher:
    """Agents beside engines in pods, where public keys lie at the same paths as here."""
    renderer = Renderer(
        pods,
        released_url=settings.released_url,
        keys=settings.trusted_keys,
        revoked=settings.revoked,
        policy_file=settings.release_policy_file,
        policy_keys=settings.policy_keys,
        review_keys=settings.trusted_review_keys,
        deny_list_file=settings.deny_list_file,
        deny_list_keys=settings.trusted_deny_list_keys,
        log_level=settings.log_level,
    )
    return TeamLauncher(pods, renderer)


def local_launcher(settings: Settings) -> LocalLauncher:
    """Agents as processes of this machine."""
    place = Place(
        root=settings.replicas_dir,
        released_url=settings.released_url,
        released_credentials=settings.released_credentials,
        weights_dir=settings.weights_dir,
        trusted=lambda: settings.trusted_keys,
        revoked_file=settings.revoked,
        policy_file=settings.release_policy_file,
        policy_keys=lambda: settings.policy_keys,
        review_keys=lambda: settings.trusted_review_keys,
        deny_list_file=settings.deny_list_file,
        deny_list_keys=lambda: settings.trusted_deny_list_keys,
        deny_list_mark=settings.deny_list_mark,
        engine_python=settings.engine_python,
        engine_url=settings.engine_url,
        engine_threads=settings.engine_threads,
        ready_seconds=settings.ready_seconds,
        drain_seconds=settings.stop_seconds,
        log_level=settings.log_level,
    )
    return LocalLauncher(place)


@asynccontextmanager
async def build(settings: Settings, launcher: Launcher | None = None) -> AsyncIterator[Serving]:
    """Serving with its database migrated; `launcher` defaults to processes of this machine."""
    async with AsyncExitStack() as stack:
        db = Database(settings.database_url, schema=settings.service)
        stack.push_async_callback(db.close)
        await db.migrate("posology.core.audit", "posology.serving")
        releaser = Releaser(
            ArtifactStore(settings.candidates_url, credentials_from=settings.candidates_credentials),
            ArtifactStore(settings.released_url, credentials_from=settings.released_credentials),
            trust=settings.trust,
        )
        launcher = launcher or chosen_launcher(settings, stack)
        controller = Controller(db, launcher, rules=rules_of(settings), tick=settings.tick_seconds)
        agents = await stack.enter_async_context(http_tls.client(Files.of(settings), name=settings.engine_tls_name))
        autoscaler = Autoscaler(db, controller.wake, Loads(agents), every=settings.scale_seconds)
        catalog = catalog_pb2_grpc.CatalogStub(await stack.enter_async_context(connect(settings, "catalog")))
        evaluation = evaluation_pb2_grpc.EvaluationStub(
            await stack.enter_async_context(connect(settings, "evaluation"))
        )
        deployments = Deployments(db, releaser, Withdrawals(catalog), Failures(evaluation), controller.wake)
        servicer = ServingServicer(deployments, Routing(db), controller)
        yield Serving(settings, db, controller, autoscaler, servicer)


async def serve() -> None:
    """Run until told to stop."""
    async with build(load(Settings)) as serving:
        await run(serving.server())


def main() -> None:
    """`python -m posology.serving.app`."""
    launch(serve)


if __name__ == "__main__":
    main()
