"""Fixtures of the tests that need a Kubernetes API server."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cluster.operator_world import World, world
from support.clusters import api_server, define_runs, new_namespace
from support.rpc_example import free_address

from posology.core.kube import ClusterConfig, Kube

_DEMONSTRATIONS = (Path(__file__).with_name("whole"), Path(__file__).with_name("serving"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What installs the product takes images and minutes: a demonstration, which `make test` leaves out."""
    for item in items:
        if item.path.is_relative_to(_DEMONSTRATIONS[0]) or item.path.is_relative_to(_DEMONSTRATIONS[1]):
            item.add_marker(pytest.mark.demonstration)


@pytest.fixture(scope="session")
def api() -> Iterator[ClusterConfig]:
    """An API server."""
    with api_server() as access:
        yield access


@pytest.fixture
async def kube(api: ClusterConfig) -> AsyncIterator[Kube]:
    """Calls to it, with the custom resource defined."""
    async with Kube(api) as opened:
        await define_runs(opened)
        yield opened


@pytest.fixture
async def namespace(kube: Kube) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    async with new_namespace(kube) as name:
        yield name


@pytest.fixture
async def installation(tmp_path: Path, api: ClusterConfig, kube: Kube, namespace: str) -> AsyncIterator[World]:
    """An installation in which nothing runs yet."""
    async with world(tmp_path, api, kube, namespace, free_address()) as made:
        yield made


@pytest.fixture
async def running(installation: World) -> AsyncIterator[World]:
    """An installation with an orchestrator and an operator at work."""
    async with installation.orchestrator(), installation.operator():
        yield installation
