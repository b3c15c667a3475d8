"""A tiny random model and the place where engines run."""

import os
import subprocess
from pathlib import Path

import pytest

from posology.engine import EngineHost

ROOT = Path(__file__).resolve().parents[3]


def _python(role: str) -> str:
    found = Path(os.environ.get(f"POSOLOGY_{role.split('-')[0].upper()}_PYTHON", ROOT / f".venv/{role}/bin/python"))
    if not found.exists():
        pytest.skip(f"no {role} environment at {found}; `make test` builds it")
    return str(found)


@pytest.fixture(scope="session")
def engine_host() -> EngineHost:
    """vLLM with the machine's shared caches."""
    return EngineHost(python=_python("engine-cpu"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random 1M-parameter Llama with a chat template, of the nano model's shape."""
    folder = tmp_path_factory.mktemp("tiny-model")
    script = Path(__file__).with_name("make_tiny_model.py")
    subprocess.run([_python("worker"), str(script), str(folder)], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return folder
