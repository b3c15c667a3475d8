"""A cluster with nodes and the product's images for the session; a release for each module that asks for one."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cluster.whole.images import Images, images
from cluster.whole.installation import kubeconfig
from cluster.whole.training_place import STORAGE, Place, training_place
from pipeline.whole.installation import prepare
from support.cluster_nodes import Nodes, cluster_nodes
from support.servers import S3, s3_server


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    with cluster_nodes() as found:
        yield found


@pytest.fixture(scope="session")
def built(nodes: Nodes) -> Images:
    """The product's images, where the nodes find them."""
    return images(nodes)


@pytest.fixture(scope="session")
def micro_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `base` (a random tiny model) and `suites`."""
    root = tmp_path_factory.mktemp("micro")
    prepare(root)
    return root


@pytest.fixture(scope="session")
def reachable_s3(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server that pods reach."""
    with s3_server(tmp_path_factory.mktemp("s3"), host=nodes.host) as server:
        yield server


@pytest.fixture
async def place(
    tmp_path: Path, nodes: Nodes, built: Images, reachable_s3: S3, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """A training service of this process whose workers are pods."""
    monkeypatch.setenv(STORAGE, json.dumps(reachable_s3.options))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig()))
    async with training_place(tmp_path, nodes, built, reachable_s3) as found:
        yield found
