"""The installation and the service of most tests here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from service.serving.serving_world import Installation, Service, serving


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A data directory with keys and an engine that only speaks vLLM's protocol."""
    return Installation(tmp_path)


@pytest.fixture
async def service(installation: Installation) -> AsyncIterator[Service]:
    """A serving process over it."""
    async with serving(installation) as started:
        yield started
