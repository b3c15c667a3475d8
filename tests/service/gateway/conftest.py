"""The gateway of most tests here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from service.gateway.gateway_world import World, world


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[World]:
    """A gateway with a key and one agent behind the model name `labels`."""
    async with world(tmp_path) as built:
        yield built
