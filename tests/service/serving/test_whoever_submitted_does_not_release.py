"""Two users of a cluster call serving and the orchestrator: by no call does one release what one submitted."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from service.orchestrator.noop import SPEC, new_run
from service.serving.serving_world import Installation
from support.catalogs import serving_catalog
from support.review_server import ReviewServer, review_server

from posology.core import settings as environment
from posology.core.errors import PermissionDenied
from posology.core.kube import Kube
from posology.core.rpc import server
from posology.core.rpc.auth import TokenFile, ensure_token
from posology.core.rpc.authentication import Callers, ServicesAndUsers
from posology.core.rpc.client import channel
from posology.core.rpc.cluster import AccessReviews, TokenReviews
from posology.core.rpc.context import Kind
from posology.core.store import Database
from posology.orchestrator import app as orchestrator
from posology.orchestrator import repository
from posology.orchestrator.settings import Settings as OrchestratorSettings
from posology.serving import app
from posology.serving.domain import ReplicaState, Status
from posology.serving.launcher import Launch
from posology.serving.settings import Settings as ServingSettings
from posology.v1alpha1 import orchestrator_pb2, orchestrator_pb2_grpc, serving_pb2, serving_pb2_grpc

NAMESPACE = "namespaces/default"
VERBS = ("create", "get", "list", "watch", "update", "delete", "approve")


@dataclass
class EnginesOfThought:
    """A launcher whose engines answer as soon as they are started; nothing of a release is the launcher's."""

    running: set[str] = field(default_factory=set)

    async def start(self, launch: Launch) -> None:
        self.running.add(launch.replica)

    async def observe(self, replica: str) -> Status | None:
        return Status(ReplicaState.READY, "ready", "http://127.0.0.1:1") if replica in self.running else None

    async def alive(self, replica: str) -> bool:
        return replica in self.running

    async def stop(self, replica: str) -> None:
        self.running.discard(replica)

    async def kill(self, replica: str) -> None:
        self.running.discard(replica)

    async def forget(self, replica: str) -> None:
        return


@dataclass
class Doors:
    """Stubs of one user."""

    serving: serving_pb2_grpc.ServingAsyncStub

    async def create(self, model: str, verdict: str, name: str, **spec: Any) -> serving_pb2.Deployment:
        request = serving_pb2.CreateDeploymentRequest(
            parent=NAMESPACE,
            deployment_id=name,
            model=model,
            verdict=verdict,
            spec=serving_pb2.ServingSpec(model_name="labels", **spec),
            request_id=name,
        )
        return await self.serving.CreateDeployment(request)

    async def until_ready(self, name: str) -> None:
        request = serving_pb2.GetDeploymentRequest(name=f"{NAMESPACE}/deployments/{name}")
        async with asyncio.timeout(20):
            while (await self.serving.GetDeployment(request)).state != serving_pb2.Deployment.READY:
                await asyncio.sleep(0.05)


@dataclass
class Cluster:
    """An installation that tells jane and bob apart."""

    installation: Installation
    jane: Doors
    bob: Doors

    def evaluated_by(self, submitter: str, seed: str) -> tuple[str, str]:
        """Weights, and a verdict that `submitter` asked for."""
        model = self.installation.weights(seed)
        return model, self.installation.verdict(model, seed=seed, submitter=submitter)


def users_of(reviews: ReviewServer, kube: Kube, token_file: Path) -> Callers:
    for name in ("jane", "bob"):
        reviews.users[f"{name}s-token"] = {"username": name, "groups": [], "uid": name, "extra": {}}
        reviews.rights[name] = {f"{verb}/default" for verb in VERBS}
    services = TokenFile(token_file, Kind.SERVICE)
    return Callers(ServicesAndUsers(services, TokenReviews(kube, audience="posology")), AccessReviews(kube))


@pytest.fixture
async def cluster(installation: Installation) -> AsyncIterator[Cluster]:
    root = installation.root
    async with AsyncExitStack() as stack:
        reviews = stack.enter_context(review_server())
        kube = await stack.enter_async_context(Kube(reviews.access))
        catalog = await stack.enter_async_context(serving_catalog(root))
        settings = environment.load(
            ServingSettings,
            data_dir=root,
            catalog_address=catalog,
            evaluation_address=catalog,
            metrics_port=-1,
            tick_seconds=0.05,
            settle_seconds=0.0,
        )
        serving = await stack.enter_async_context(app.build(settings, EnginesOfThought()))
        callers = users_of(reviews, kube, settings.token_file)
        address = await stack.enter_async_context(server.running(replace(serving.server(), callers=callers)))
        stubs = [
            serving_pb2_grpc.ServingStub(
                await stack.enter_async_context(channel(address, token=f"{name}s-token", service=""))
            )
            for name in ("jane", "bob")
        ]
        yield Cluster(installation, *(Doors(stub) for stub in stubs))


@pytest.mark.parametrize("submitter", ["jane", "Jane", "JANE", "", "anonymous", "installation"])
async def test_nobody_deploys_what_one_submitted_or_what_nobody_is_known_to_have_submitted(
    cluster: Cluster, submitter: str
) -> None:
    model, verdict = cluster.evaluated_by(submitter, "one")
    for rollout in (serving_pb2.ServingSpec.AUTO, serving_pb2.ServingSpec.MANUAL):
        with pytest.raises(PermissionDenied):
            await cluster.jane.create(model, verdict, f"mine-{rollout}", rollout=rollout)
        with pytest.raises(PermissionDenied):
            await cluster.jane.create(model, "", f"found-{rollout}", rollout=rollout)


async def test_nobody_promotes_rolls_back_to_or_makes_room_for_what_one_submitted(cluster: Cluster) -> None:
    good, good_verdict = cluster.evaluated_by("bob", "good")
    mine, my_verdict = cluster.evaluated_by("jane", "mine")
    jane, bob = cluster.jane.serving, cluster.bob.serving
    await cluster.jane.create(good, good_verdict, "good")
    await cluster.jane.until_ready("good")
    manual = serving_pb2.ServingSpec.MANUAL
    await cluster.bob.create(mine, my_verdict, "mine", rollout=manual, canary=serving_pb2.Canary(steps=[5, 100]))
    await cluster.bob.until_ready("mine")

    name = f"{NAMESPACE}/deployments/mine"
    with pytest.raises(PermissionDenied, match="jane submitted it"):
        await jane.PromoteDeployment(serving_pb2.PromoteDeploymentRequest(name=name))
    with pytest.raises(PermissionDenied, match="would take all traffic"):
        await jane.DeleteDeployment(serving_pb2.DeleteDeploymentRequest(name=f"{NAMESPACE}/deployments/good"))
    # Bob may, and when he has gone back from it, it stays away from Jane's hands.
    await bob.PromoteDeployment(serving_pb2.PromoteDeploymentRequest(name=name))
    later, later_verdict = cluster.evaluated_by("bob", "later")
    await cluster.jane.create(later, later_verdict, "later")
    await cluster.jane.until_ready("later")
    with pytest.raises(PermissionDenied, match="jane submitted it"):
        await jane.RollBackDeployment(serving_pb2.RollBackDeploymentRequest(name=f"{NAMESPACE}/deployments/later"))
    # Who repeats a request of before is told what it made; nothing new is made.
    assert (await cluster.jane.create(mine, my_verdict, "later")).model == later


async def test_nobody_speaks_for_another_user(cluster: Cluster) -> None:
    model, verdict = cluster.evaluated_by("jane", "one")
    request = serving_pb2.CreateDeploymentRequest(
        parent=NAMESPACE,
        deployment_id="mine",
        model=model,
        verdict=verdict,
        spec=serving_pb2.ServingSpec(model_name="labels"),
    )
    for metadata in ((("x-posology-user", "bob"),), (("x-posology-door", "orchestrator"),)):
        with pytest.raises(PermissionDenied, match="may not speak for others"):
            await cluster.jane.serving.CreateDeployment(request, metadata=metadata)


@asynccontextmanager
async def approvals(root: Path) -> AsyncIterator[tuple[Any, dict[str, orchestrator_pb2_grpc.OrchestratorAsyncStub]]]:
    """The database of an orchestrator that knows its users, and stubs of it: jane's, bob's, and a service's."""
    token = ensure_token(root / "token")
    async with AsyncExitStack() as stack:
        reviews = stack.enter_context(review_server())
        kube = await stack.enter_async_context(Kube(reviews.access))
        settings = environment.load(
            OrchestratorSettings, data_dir=root, metrics_port=-1, authentication="kubernetes", poll_seconds=60.0
        )
        built = await orchestrator.build(settings, stack)
        callers = users_of(reviews, kube, settings.token_file)
        built = replace(built, callers=callers, background=())
        address = await stack.enter_async_context(server.running(built))
        stubs = {
            name: orchestrator_pb2_grpc.OrchestratorStub(
                await stack.enter_async_context(channel(address, token=given, service=door))
            )
            for name, given, door in (
                ("jane", "janes-token", ""),
                ("bob", "bobs-token", ""),
                ("operator", token, "operator"),
                ("console", token, ""),
            )
        }
        db = Database(settings.database_url, schema="orchestrator")
        stack.push_async_callback(db.close)
        yield db, stubs


@pytest.mark.parametrize("rollout", ["AUTO", "MANUAL"])
async def test_nobody_approves_one_s_own_run_through_whatever_door(
    tmp_path: Path, rollout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSOLOGY_DATA_DIR", str(tmp_path))
    spec = {**SPEC, "serving": {"rollout": rollout}}
    async with approvals(tmp_path) as (db, stubs):
        for number, creator in enumerate(("jane", "Jane", "", "installation"), 1):
            async with db.begin() as tx:
                await repository.create(tx, replace(new_run(number, spec=spec), creator=creator))
            request = orchestrator_pb2.DecideApprovalRequest(
                name=f"{NAMESPACE}/fineTuneRuns/run-{number}", stage="deploy", approved=True
            )
            for caller in ("jane", "operator", "console"):  # services decide nothing, whoever stands behind them
                with pytest.raises(PermissionDenied):
                    await stubs[caller].DecideApproval(request)
            if creator.casefold() == "jane":
                assert (await stubs["bob"].DecideApproval(request)).name == request.name
