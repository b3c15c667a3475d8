"""A cluster with nodes and the product's images for the session; a release for each module that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.whole.images import Images, images
from cluster_nodes import Nodes, cluster_nodes
from pipeline.whole.installation import prepare


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
