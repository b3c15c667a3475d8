"""An installation whose engines run beside the services moves them to a namespace of work, and no answer is missing."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cluster.serving.images import Images
from cluster.serving.world import DEPLOYMENTS, ENGINES, Open, World, eventually
from support.cluster_nodes import Nodes
from support.servers import S3

from posology.core.kube import Kube, Resource
from posology.v1alpha1 import serving_pb2 as pb

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]
CONFIG_MAPS = Resource("v1", "configmaps")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def moving(
    nodes: Nodes, built: Images, reachable_s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Open]:
    """A release of its own, in the layout before: engines beside the services."""
    root: Path = tmp_path_factory.mktemp("moving")
    async with Kube(nodes.access) as kube:
        world = World(nodes, kube, f"moving-{uuid.uuid4().hex[:8]}", reachable_s3, root, built)
        await world.prepare()
        try:
            await world.install()
            async with world.doors() as opened:
                yield opened
        finally:
            await world.uninstall()


async def test_engines_move_without_a_missing_answer_and_the_deny_list_is_carried_there(moving: Open) -> None:
    world, work = moving.world, f"{moving.world.namespace}-work"

    async def engines(namespace: str) -> list[Any]:
        return list((await world.kube.select(DEPLOYMENTS, namespace, labels=ENGINES))["items"])

    async def moved() -> bool:
        ready = [e.get("status", {}).get("readyReplicas", 0) for e in await engines(work)]
        return ready == [1] and not await engines(world.namespace)

    async with moving.deployed("moves") as model:
        assert len(await engines(world.namespace)) == 1
        world.apart = True
        async with moving.streaming(model, clients=2) as answers:
            await world.install()
            await eventually(moved, within=300)
        assert answers.failures() == []
        assert len(answers.responses) > 10
        await moving.again()
        await moving.until("READY", "moves")
        assert (await moving.ask(model)).status_code == 200
        for namespace in (world.namespace, work):
            carried = await world.kube.read(CONFIG_MAPS, namespace, "posology-deny-list")
            assert "deny-list.dsse.json" in carried["data"]
        secrets = (await world.kube.select(Resource("v1", "secrets"), work))["items"]
        names = {
            secret["metadata"]["name"] for secret in secrets if not secret["metadata"]["name"].startswith("engine-")
        }
        assert names == {"certificates", "engine-storage"}
        # The second move is none: an engine that runs where it belongs stays as it is.
        [before] = [e["metadata"]["uid"] for e in await engines(work)]
        await world.kill("serving")
        await moving.again()
        await moving.until("READY", "moves")
        assert [e["metadata"]["uid"] for e in await engines(work)] == [before]
        await moving.service.rpc.DeleteDeployment(_named("moves"))
        await moving.until("STOPPED", "moves")

    async def nothing() -> bool:
        return not await engines(work) and not await engines(world.namespace)

    await eventually(nothing)


def _named(name: str) -> pb.DeleteDeploymentRequest:
    return pb.DeleteDeploymentRequest(name=f"namespaces/default/deployments/{name}")
