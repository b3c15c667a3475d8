"""Trainings are recorded in MLflow by setting, go on in their run, and never fail with their tracker."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.mlflow_server import Tracking, mlflow_server
from support.training_bench import REPOSITORY, WORKER_PYTHON, Bench

CHECKS = Path(__file__).with_name("tracking_checks.py")
MLFLOW_PYTHON = os.environ.get("POSOLOGY_MLFLOW_PYTHON", str(REPOSITORY / ".venv/mlflow/bin/python"))


def run(uri: str, *cases: str) -> Any:
    """What the checks print."""
    if not Path(WORKER_PYTHON).exists():
        pytest.skip(f"no worker environment at {WORKER_PYTHON}; make it, or set POSOLOGY_WORKER_PYTHON")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(
        [WORKER_PYTHON, str(CHECKS), *cases], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def server() -> Iterator[Tracking]:
    with mlflow_server() as tracking:
        yield tracking


def test_without_the_setting_nothing_is_imported() -> None:
    told = run("", "job:t:1:3:done")
    assert told["imported"] is told["torch"] is False
    assert told["outcomes"][0]["lines"] == []


def test_settings_curves_and_digests_are_recorded_and_a_resumed_training_goes_on_in_its_run(server: Tracking) -> None:
    """The second attempt begins at its checkpoint, two steps back; another job has a run of its own."""
    told = run(server.uri, "job:t1:1:6:stopped", "job:t1:5:9:done", "job:t2:1:2:failed", "other:t1:1:2:done")
    assert [each["ended"] for each in told["outcomes"]] == ["Stopped", "done", "RuntimeError", "done"]
    first, second, third = server.runs.values()
    (run_id, *_) = server.runs
    assert server.points(run_id, "train/loss") == [(step, 1 / step) for step in range(1, 10)]
    assert [step for step, _ in server.points(run_id, "evaluations/eval_loss")] == [6, 9]
    assert [each["status"] for each in (first, second, third)] == ["FINISHED", "FAILED", "FINISHED"]
    assert first["params"] == {"task": "sft", "lora.rank": "16", "lora.target_modules": "q_proj,v_proj"}
    assert first["tags"]["posology.dataset"] == "sha256:data"
    assert first["name"] == "micro sft"
    assert list(server.experiments) == ["posology"]


@pytest.mark.parametrize("broken", [1, 3, 6])
def test_a_server_that_fails_now_and_then_gets_everything_once(server: Tracking, broken: int) -> None:
    server.broken = broken
    told = run(server.uri, "job:t:1:4:stopped", "job:t:3:5:done")
    assert [each["ended"] for each in told["outcomes"]] == ["Stopped", "done"]
    (only,) = server.runs
    assert server.points(only, "train/loss")[-1] == (5, 0.2)
    assert len({step for step, _ in server.points(only, "train/loss")}) == len(server.points(only, "train/loss"))


def test_a_server_that_is_away_or_broken_or_speaks_something_else_fails_no_training(server: Tracking) -> None:
    server.broken = 1 << 30
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for uri in (server.uri, "http://127.0.0.1:9", "nonsense://x", f"http://127.0.0.1:{deaf.getsockname()[1]}"):
            (outcome,) = run(uri, "job:t:1:3:done")["outcomes"]
            assert outcome["ended"] == "done"
            assert outcome["seconds"] < 70
            assert len(outcome["lines"]) == 1, "it is said once"


def test_a_real_training_is_recorded(bench: Bench, server: Tracking) -> None:
    outcome = bench.run(bench.sft("tracked"), MLFLOW_TRACKING_URI=server.uri, TRACE="t")["tracked"]
    (recorded,) = server.runs.values()
    (run_id,) = server.runs
    assert [step for step, _ in server.points(run_id, "train/loss")] == [step for step, _ in outcome.metrics("loss")]
    assert server.points(run_id, "evaluations/eval_loss")[0][0] == 0
    assert recorded["params"]["optimisation.learning_rate"] == "0.01"
    assert recorded["tags"]["posology.job"] == "local-tracked"
    assert "zorvex" not in json.dumps(recorded), "no text of a row"


@pytest.mark.qualify
def test_a_real_server_of_mlflow_shows_the_run(tmp_path: Path) -> None:
    if not Path(MLFLOW_PYTHON).exists():
        pytest.skip(f"no MLflow server at {MLFLOW_PYTHON}; requirements/mlflow-server.in says how to install one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    store = ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--port", uri.rpartition(":")[2]]
    command = [MLFLOW_PYTHON, "-m", "mlflow", "server", *store, "--workers", "1"]
    with (tmp_path / "log").open("wb") as log:
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        # In a group of its own: the server starts processes that outlive it.
        server = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=tmp_path, env=environment, start_new_session=True
        )
    try:
        _wait(uri)
        told = run(uri, "job:t1:1:6:stopped", "job:t1:5:9:done")
        assert [each["ended"] for each in told["outcomes"]] == ["Stopped", "done"]
        found = _ask(uri, "runs/search", {"experiment_ids": [_experiment(uri)]})["runs"]
        assert len(found) == 1
        info = found[0]["info"]
        assert (info["status"], info["run_name"]) == ("FINISHED", "micro sft")
        history = _ask(uri, f"metrics/get-history?run_id={info['run_id']}&metric_key=train/loss")["metrics"]
        assert [each["step"] for each in history] == list(range(1, 10))
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


def _experiment(uri: str) -> str:
    return str(_ask(uri, "experiments/get-by-name?experiment_name=posology")["experiment"]["experiment_id"])


def _ask(uri: str, path: str, body: Any = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _wait(uri: str) -> None:
    until = time.monotonic() + 180
    while True:
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < until, "the server did not come up"
            time.sleep(1)
