"""A release for the session: serving, gateway and catalog in pods, stores in S3."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from cluster.serving.images import Images, images
from cluster.serving.world import Open, World
from support.cluster_nodes import Nodes, cluster_nodes
from support.clusters import STATE
from support.servers import S3, s3_server

from posology.core.kube import Kube


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    with cluster_nodes() as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def kubectl(nodes: Nodes) -> Iterator[None]:
    """kubectl of the tool, and its cluster, for what the tests start."""
    with pytest.MonkeyPatch.context() as patch:
        if nodes.tool:
            patch.setenv("KUBECONFIG", str(STATE / "kubeconfig"))
            patch.setenv("PATH", f"{STATE / 'bin'}:{os.environ['PATH']}")
        yield


@pytest.fixture(scope="session")
def built(nodes: Nodes) -> Images:
    return images(nodes)


@pytest.fixture(scope="session")
def reachable_s3(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3"), host=nodes.host) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def release(
    nodes: Nodes, built: Images, reachable_s3: S3, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Open]:
    """Installed from the chart in a namespace that enforces the Pod Security Standard `restricted`."""
    root: Path = tmp_path_factory.mktemp("release")
    async with Kube(nodes.access) as kube:
        world = World(nodes, kube, f"serving-{uuid.uuid4().hex[:8]}", reachable_s3, root, built)
        await world.prepare()
        try:
            await world.install()
            async with world.doors() as opened:
                yield opened
        finally:
            await world.uninstall()
