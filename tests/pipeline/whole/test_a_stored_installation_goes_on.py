"""A data directory that 0.1.0 wrote works under this code: rows, artifacts, keys, signatures, answers. What it released
is not served on: that takes a verdict which meets a release policy."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.servers import REPOSITORY

pytestmark = pytest.mark.slow

STORED = REPOSITORY / "tests" / "stored" / "installation-0.1.0.tar.xz"
DATASET = "sha256:f1e35d57ee8c6350d6530228eaa339653380dccbdedd300bc43882f4cc385184"
MODEL = "sha256:9043c3d5f06913f1e108db0986809ce88e81f06fc7728d097c10b9326db1d128"
ANSWER = "namespaces/default/answers/b14c5376a0a8705e39eb09a73631c9"

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def posology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    """The command line on a copy of the stored installation, which this code has started."""
    root = tmp_path_factory.mktemp("stored")
    with tarfile.open(STORED) as archive:
        archive.extractall(root, filter="data")

    def call(*arguments: str, code: int = 0) -> Any:
        command = [
            sys.executable,
            "-m",
            "posology.cli.app",
            "--data",
            str(root / "data"),
            "--output",
            "json",
            *arguments,
        ]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
        assert ended.returncode == code, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return json.loads(ended.stdout) if ended.stdout.startswith(("{", "[")) else ended.stdout

    call("up", "--env", "POSOLOGY_ENGINE_PYTHON=/bin/false")  # what is asked here needs no engine
    try:
        yield call
    finally:
        call("down")


def test_its_run_is_there_with_every_stage(posology: Call) -> None:
    run = posology("show", "micro")
    states = {stage["stage"]: stage["state"] for stage in run["stages"]}
    assert run["phase"] == "SUCCEEDED"
    assert set(states.values()) == {"SUCCEEDED"}
    assert {"curate", "review-data", "sft", "dpo", "merge", "evaluate", "verdict", "deploy"} <= set(states)


def test_its_key_is_known_by_name(posology: Call) -> None:
    assert "test" in json.dumps(posology("keys", "list"))


def test_its_answer_is_explained_down_to_the_data_set(posology: Call) -> None:
    explained = json.dumps(posology("explain", ANSWER))
    assert MODEL in explained
    assert DATASET in explained


def test_its_signatures_and_bytes_still_verify_and_its_policy_is_what_it_lacks(posology: Call) -> None:
    checks = posology("verify", "micro", code=1)["checks"]
    failed = {check["subject"] for check in checks if not check["ok"]}
    assert failed == {"gates", "policy"}  # 0.1.0 knew no release policy, and less of parity: evaluate anew
    assert {"signature", "statement", "artifact", "lineage", "engine"} <= {check["subject"] for check in checks}


def test_its_data_set_is_found_by_label(posology: Call) -> None:
    recalled = json.dumps(posology("recall", "Limranib"))
    assert DATASET in recalled
