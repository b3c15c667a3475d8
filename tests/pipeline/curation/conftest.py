"""Curation and the catalog over real gRPC; these tests need the worker environment."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.curation_world import HAS_WORKER, WORKER_PYTHON, World, end_workers, serve


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    if not HAS_WORKER:
        pytest.skip(f"no worker environment at {WORKER_PYTHON}; make it, or set POSOLOGY_WORKER_PYTHON")
    async with AsyncExitStack() as stack:
        yield await serve(tmp_path, monkeypatch, stack)


@pytest.fixture(autouse=True)
def _no_worker_outlives_its_test(tmp_path: Path) -> Iterator[None]:
    yield
    end_workers(tmp_path)
