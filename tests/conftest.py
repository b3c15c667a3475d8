"""Fixtures that every test may use."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.servers import REPOSITORY, S3, Postgres, postgres_server, s3_server
from support.together import Together

from posology.core.store import Database


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together:
    """How tests are handed to processes, where there are several."""
    return Together(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real labels and suites, where this checkout has one beside it."""
    found = Path(os.environ.get("POSOLOGY_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not found.is_dir():
        pytest.skip(f"no real data at {found}; set POSOLOGY_TEST_DATA to a folder of labels")
    return found


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pretrained model: POSOLOGY_REAL_MODEL, or assembled by the tool beside this checkout."""
    if folder := os.environ.get("POSOLOGY_REAL_MODEL"):
        return Path(folder)
    tool = REPOSITORY.parent / "shared" / "tools" / "real-model"
    if not tool.exists():
        pytest.skip(f"no real model: POSOLOGY_REAL_MODEL names none, and {tool} is not there")
    made = tmp_path_factory.mktemp("model") / "real"
    subprocess.run([str(tool), str(made), "--python", str(REPOSITORY / ".venv/worker/bin/python")], check=True)
    return made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server for the session; `postgres.url()` is a new database."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server for the session; `s3.bucket()` is a new bucket's URL, `s3.options` its credentials."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new empty database; every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/db/service.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty `Database` of each kind, schema `service`; `await database.migrate(...)` fills it."""
    opened = Database(database_url, schema="service")
    yield opened
    await opened.close()
