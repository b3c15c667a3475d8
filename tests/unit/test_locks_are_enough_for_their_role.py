"""Each role's lock is enough for that role: its programs import in an environment made from it alone."""

import subprocess

import pytest
from support.servers import REPOSITORY

CONTROL = [
    f"posology.{service}.app"
    for service in (
        "orchestrator",
        "catalog",
        "curation",
        "training",
        "evaluation",
        "serving",
        "gateway",
        "operator",
        "cli",
    )
] + ["posology.serving.agent.app", "posology.cli.supervisor"]
WORKER = [f"posology.{service}.worker.__main__" for service in ("curation", "training", "evaluation")]


@pytest.mark.parametrize(
    ("role", "modules", "absent"),
    [
        ("control", CONTROL, ["torch", "vllm", "pytest"]),
        ("worker", [*WORKER, "trl", "peft", "bitsandbytes", "sentence_transformers"], ["vllm", "pytest"]),
        ("engine-cpu", ["vllm.entrypoints.openai.api_server"], ["posology", "trl"]),
    ],
)
def test_a_role_runs_from_its_lock_alone(role: str, modules: list[str], absent: list[str]) -> None:
    python = REPOSITORY / ".venv" / role / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment for {role}; make test makes it")
    code = f"""
import importlib, importlib.util
for module in {modules}: importlib.import_module(module)
present = [name for name in {absent} if importlib.util.find_spec(name)]
assert not present, present
"""
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
