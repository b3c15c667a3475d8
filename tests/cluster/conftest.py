"""Fixtures of the tests that need a Kubernetes API server."""

from collections.abc import AsyncIterator, Iterator

import pytest
from clusters import api_server, define_runs, new_namespace

from posology.core.kube import Access, Kube


@pytest.fixture(scope="session")
def api() -> Iterator[Access]:
    """An API server."""
    with api_server() as access:
        yield access


@pytest.fixture
async def kube(api: Access) -> AsyncIterator[Kube]:
    """Calls to it, with the custom resource defined."""
    async with Kube(api) as opened:
        await define_runs(opened)
        yield opened


@pytest.fixture
async def namespace(kube: Kube) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    async with new_namespace(kube) as name:
        yield name
