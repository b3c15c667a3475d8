"""An installation per test; whatever its workers left behind is killed at the end."""

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from support.job_installation import Installation

from posology.core.jobs.environment import SPEC_VARIABLE


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    made = Installation(tmp_path)
    await made.migrate()
    yield made
    await made.db.close()
    _kill_workers(tmp_path)


def _kill_workers(root: Path) -> None:
    for process in psutil.process_iter():
        try:
            if process.environ().get(SPEC_VARIABLE, "").startswith(str(root)):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
