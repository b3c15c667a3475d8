"""The evaluation service with its real worker and engine, and candidates to score."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.catalogs import serving_catalog

from posology.core.artifacts import ArtifactStore
from posology.core.rpc import client, server
from posology.evaluation import app
from posology.evaluation.settings import Settings
from posology.v1alpha1 import evaluation_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Candidate:
    """Folders of a base model, an adapter on it, and their merge."""

    base: Path
    adapter: Path
    merged: Path


@dataclass(frozen=True)
class RealService:
    """A running service below `root`, its artifacts, and the folder of its suites."""

    stub: evaluation_pb2_grpc.EvaluationAsyncStub
    root: Path
    artifacts: ArtifactStore
    suites: Path

    def publish(self, folder: Path, kind: str) -> str:
        return self.artifacts.publish(folder, kind=kind, producer="test")

    def write_suite(self, name: str, lines: list[dict[str, object]]) -> str:
        """The suite's URI."""
        path = self.suites / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path.as_uri()


def _python(variable: str, role: str) -> str:
    found = Path(os.environ.get(variable, ROOT / f".venv/{role}/bin/python"))
    if not found.exists():
        pytest.skip(f"no {role} environment at {found}; `make {role}` builds it")
    return str(found)


def _run_script(name: str, *words: object, threads: int = 1) -> str:
    """Standard output of a script of this folder, run by the worker's interpreter."""
    command = [_python("POSOLOGY_WORKER_PYTHON", "worker"), str(Path(__file__).with_name(name)), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def run_script() -> Callable[..., str]:
    """A script of this folder run by the worker's interpreter: name, words, and how many threads it may use."""
    return _run_script


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By case of `parity_checks.py`: the verdict, and the explanation of every gate that did not pass."""
    lines = _run_script("parity_checks.py", tmp_path_factory.mktemp("planted")).splitlines()
    return {case["case"]: case for case in map(json.loads, filter(lambda line: line.startswith("{"), lines))}


@pytest.fixture(scope="session")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """Random models of a million parameters: nothing to learn from, everything to measure."""
    folder = tmp_path_factory.mktemp("candidate")
    _run_script("make_candidate.py", folder)
    return Candidate(folder / "base", folder / "adapter", folder / "merged")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[RealService]:
    suites = tmp_path / "suites"
    suites.mkdir()
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o600)
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(serving_catalog(tmp_path))
        settings = Settings(
            catalog_address=catalog,
            data_dir=tmp_path,
            allowed_source_folders=(suites,),
            metrics_port=-1,
            worker_python=_python("POSOLOGY_WORKER_PYTHON", "worker"),
            engine_python=_python("POSOLOGY_ENGINE_PYTHON", "engine-cpu"),
        )
        built = await app.build(settings, stack)
        address = await stack.enter_async_context(server.running(built))
        channel = client.channel(address, token="secret")
        stack.push_async_callback(channel.close)
        stub: evaluation_pb2_grpc.EvaluationAsyncStub = evaluation_pb2_grpc.EvaluationStub(channel)
        yield RealService(stub, tmp_path, ArtifactStore(settings.candidates_url), suites)
