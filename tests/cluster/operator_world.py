"""An orchestrator with its real servicer and controller over gRPC, stages that a test holds, and operators to kill."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
from service.orchestrator.noop import Noop
from support.clusters import EVENTS, RUNS, resource

from posology.core import settings as environment
from posology.core.errors import InvalidInput, NotFound, Violation
from posology.core.kube import ClusterConfig, Kube
from posology.core.rpc import server
from posology.core.rpc.auth import ensure_token, read_token
from posology.core.rpc.client import channel
from posology.core.settings import ServiceSettings
from posology.core.store import Database
from posology.operator import app
from posology.operator.settings import Settings
from posology.orchestrator import clients, repository
from posology.orchestrator.domain import Observation, Run, Stage, State
from posology.orchestrator.graph import GRAPH
from posology.orchestrator.reconciler import Reconciler
from posology.orchestrator.rights import RIGHTS
from posology.orchestrator.servicer import OrchestratorServicer
from posology.v1alpha1 import (
    curation_pb2,
    curation_pb2_grpc,
    evaluation_pb2,
    evaluation_pb2_grpc,
    orchestrator_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)
from posology.v1alpha1 import orchestrator_pb2 as pb

Object = dict[str, Any]


@dataclass
class Held(Noop):
    """Every stage succeeds at once, except those in `hold`, which run, and those in `pause`, which wait for people."""

    hold: set[str] = field(default_factory=set)
    pause_at: set[str] = field(default_factory=set)
    says: str = "at work"
    queue_state: str | None = None

    async def start(self, run: Run, stage: Stage) -> Observation:
        return await self.observe(run, stage)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        resource = f"namespaces/{run.namespace}/jobs/{stage.stage}"
        if stage.stage in self.hold:
            queue = self.queue_state
            return Observation(State.RUNNING, self.says, resource=resource, queue_state=queue)
        if stage.stage in self.pause_at:
            return Observation(State.PAUSED, "waits for 2 experts", resource=resource)
        return Observation(State.SUCCEEDED, "done", artifact=f"sha256:{stage.position:064x}", resource=resource)


class _Curation(curation_pb2_grpc.CurationServicer):
    async def CreateDataset(self, request: Any, _: Any) -> curation_pb2.Dataset:
        if "forbidden" in request.spec.curation.sources[0].uri:
            raise InvalidInput.of([Violation("spec.curation.sources[0].uri", "is not in the allowed folders")])
        return curation_pb2.Dataset()


class _Training(training_pb2_grpc.TrainingServicer):
    async def CreateBaseModel(self, request: Any, _: Any) -> training_pb2.BaseModel:
        return training_pb2.BaseModel()

    async def PlanTraining(self, request: Any, _: Any) -> training_pb2.TrainingPlan:
        return training_pb2.TrainingPlan()


class _Evaluation(evaluation_pb2_grpc.EvaluationServicer):
    async def CreateEvaluation(self, request: Any, _: Any) -> evaluation_pb2.EvaluationJob:
        return evaluation_pb2.EvaluationJob()


@dataclass
class World:
    """One installation; every orchestrator and operator in it can end and start again."""

    folder: Path
    access: ClusterConfig
    kube: Kube
    namespace: str
    address: str
    driver: Held = field(default_factory=Held)
    _db: Database | None = None

    @asynccontextmanager
    async def orchestrator(self, **overrides: Any) -> AsyncIterator[Database]:
        """An orchestrator over the database of this world, always at the same address."""
        values = {"data_dir": self.folder, "listen": self.address, "drain_seconds": 0.5} | overrides
        settings = environment.load(ServiceSettings, **values)
        async with AsyncExitStack() as stack:
            db = Database(f"sqlite:///{self.folder}/db/orchestrator.sqlite", schema="orchestrator")
            stack.push_async_callback(db.close)
            await db.migrate("posology.core.audit", "posology.orchestrator")
            self._db = db
            others = await stack.enter_async_context(clients.connected(_addressed(settings, self.address)))
            drivers = {node.stage: self.driver for node in GRAPH}
            reconciler = Reconciler(db, drivers, poll_seconds=0.05, lease_seconds=1.0)

            def add(grpc_server: grpc.aio.Server) -> None:
                servicer = OrchestratorServicer(db, others, reconciler)
                orchestrator_pb2_grpc.add_OrchestratorServicer_to_server(servicer, grpc_server)
                curation_pb2_grpc.add_CurationServicer_to_server(_Curation(), grpc_server)  # type: ignore[abstract]
                training_pb2_grpc.add_TrainingServicer_to_server(_Training(), grpc_server)  # type: ignore[abstract]
                evaluation_pb2_grpc.add_EvaluationServicer_to_server(_Evaluation(), grpc_server)  # type: ignore[abstract]

            serving = server.Server(
                name="orchestrator",
                settings=settings,
                add=add,
                service_names=(),
                rights=RIGHTS,
                background=(reconciler.run,),
            )
            await stack.enter_async_context(server.running(serving))
            yield db

    @asynccontextmanager
    async def operator(self, identity: str = "operator-1", **overrides: Any) -> AsyncIterator[Settings]:
        """An operator as its own main would run it."""
        settings = self.operator_settings(identity, **overrides)
        async with AsyncExitStack() as stack:
            built = await app.build(settings, self.access, stack)
            await stack.enter_async_context(server.running(built))
            yield settings

    def operator_settings(self, identity: str = "operator-1", **overrides: Any) -> Settings:
        """Settings of an operator that serves this world's namespace only."""
        values: dict[str, Any] = {
            "data_dir": self.folder, "identity": identity, "watch_namespaces": self.namespace,
            "lease_namespace": self.namespace, "lease_seconds": 2.0, "poll_seconds": 0.2, "idle_seconds": 0.5,
            "cancel_seconds": 1.0, "drain_seconds": 0.5, "orchestrator_address": self.address,
        }  # fmt: skip
        return environment.load(Settings, **(values | overrides))

    async def experts_are_done(self, name: str) -> None:
        """What curation tells the orchestrator when a review ends."""
        assert self._db
        self.driver.pause_at.clear()
        async with self._db.begin() as tx:
            await repository.wake(tx, [(await repository.get(tx, self.namespace, name)).uid])

    @asynccontextmanager
    async def stub(self, token: str = "") -> AsyncIterator[Any]:
        """The gRPC door, for whoever has this token; the installation's own by default."""
        own = read_token(self.folder / "token")
        async with channel(self.address, token=token or own, service="orchestrator") as opened:
            yield orchestrator_pb2_grpc.OrchestratorStub(opened)

    async def run(self, name: str) -> pb.FineTuneRun:
        """The run as the database has it; NotFound."""
        async with self.stub() as door:
            found: pb.FineTuneRun = await door.GetRun(pb.GetRunRequest(name=self.full_name(name)))
            return found

    async def until_run(self, name: str, phase: "pb.FineTuneRun.Phase.ValueType", *, seconds: float = 30) -> None:
        """Wait until the database has the run in this phase."""
        async with asyncio.timeout(seconds):
            while (await self.run(name)).phase != phase:
                await asyncio.sleep(0.1)

    def full_name(self, name: str) -> str:
        """A run's name in the API."""
        return f"namespaces/{self.namespace}/fineTuneRuns/{name}"

    # --- the kubectl door ----------------------------------------------------------------------------

    async def apply(self, name: str, **changes: Any) -> Object:
        """kubectl apply."""
        return await self.kube.create(RUNS, self.namespace, resource(name, **changes))

    async def change(self, name: str, **spec: Any) -> None:
        """kubectl patch."""
        await self.kube.merge(RUNS, self.namespace, name, {"spec": spec})

    async def read(self, name: str) -> Object:
        """kubectl get."""
        return await self.kube.read(RUNS, self.namespace, name)

    async def until(self, name: str, reached: Callable[[Object], bool], *, seconds: float = 60) -> Object:
        """kubectl wait: the resource once its status satisfies."""
        found: Object = {}
        try:
            async with asyncio.timeout(seconds):
                while not reached((found or {}).get("status") or {}):
                    await asyncio.sleep(0.05)
                    try:
                        found = await self.read(name)
                    except NotFound:
                        found = {}
        except TimeoutError:
            raise AssertionError(f"{name} never got there: {found.get('status')}") from None
        return found

    async def until_gone(self, name: str, *, seconds: float = 60) -> None:
        """kubectl wait --for=delete."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self.read(name)
                except NotFound:
                    return
                await asyncio.sleep(0.05)

    async def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of every event of a resource."""
        found = [e async for e in self.kube.every(EVENTS, self.namespace) if e["involvedObject"]["name"] == name]
        return [(event["reason"], event["message"]) for event in found]


@asynccontextmanager
async def world(folder: Path, access: ClusterConfig, kube: Kube, namespace: str, address: str) -> AsyncIterator[World]:
    """A new installation in `folder`."""
    ensure_token(folder / "token")
    yield World(folder, access, kube, namespace, address)


def condition(status: Object, kind: str) -> Object:
    """One condition of a status; empty if it isn't there."""
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


def is_true(kind: str) -> Callable[[Object], bool]:
    """For `until`: the condition holds."""
    return lambda status: condition(status, kind).get("status") == "True"


def _addressed(settings: ServiceSettings, address: str) -> ServiceSettings:
    """Every other service lives in the orchestrator's server here."""
    names = ("catalog", "curation", "training", "evaluation", "serving")
    return settings.model_copy(update={f"{name}_address": address for name in names})
