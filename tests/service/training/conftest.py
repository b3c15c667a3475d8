"""A world per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.training_world import World
from support.training_world import world as open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Training that may read models below the test's folder."""
    async with open_world(tmp_path, allowed_model_folders=(tmp_path,)) as found:
        yield found
