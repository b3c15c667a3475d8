"""Three doses end to end on an embedded installation; workers and the orchestrator die in between, nothing differs."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pipeline.whole.installation import Whole, prepare, stage
from support.servers import REPOSITORY

from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

pytestmark = [pytest.mark.slow, pytest.mark.qualify]
SPEC = Path(__file__).with_name("micro-sweep.yaml")


@pytest.fixture
def wholes(tmp_path: Path) -> tuple[Whole, Whole]:
    """Two installations that share nothing but the base model and the suites."""
    (tmp_path / "first").mkdir()
    prepare(tmp_path / "first")
    suites = tmp_path / "first" / "suites"
    everyday = (REPOSITORY / "examples/suites/everyday.jsonl").read_text().splitlines()
    task = (REPOSITORY / "examples/suites/open-book-development.jsonl").read_text().splitlines()
    (suites / "general-development.jsonl").write_text("\n".join(everyday[24:48]) + "\n")
    (suites / "task-development.jsonl").write_text("\n".join(task[:24]) + "\n")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    return Whole(tmp_path / "first"), Whole(tmp_path / "second")


def test_a_killed_dose_ends_as_if_it_had_not_been(wholes: tuple[Whole, Whole]) -> None:
    calm, killed = (swept(one, kill=kill) for one, kill in zip(wholes, (False, True), strict=True))
    for run, doses in (calm, killed):
        assert run.window.comparison.best, run.message
        assert [dose.run for dose in run.window.doses] == [dose["name"] for dose in doses]
        for dose in doses:
            reused = {s["stage"] for s in dose["stages"] if s.get("reused")}
            assert {"base-model", "curate", "general", "preflight"} <= reused
            assert "verdict" not in [s["stage"] for s in dose["stages"]]
    for before, after in zip(calm[1], killed[1], strict=True):
        assert artifact(before, "sft") == artifact(after, "sft"), before["name"]
        assert artifact(before, "merge") == artifact(after, "merge"), before["name"]
    pairs = list(zip(calm[0].window.comparison.doses, killed[0].window.comparison.doses, strict=True))
    for one, other in pairs:
        assert one.intensity > 0
        assert one.intensity == pytest.approx(other.intensity, rel=1e-3)
        assert one.accuracy == other.accuracy
    assert len({one.intensity for one, _ in pairs}) == 3
    base_scored = [dose["stages"][-1] for dose in calm[1]]
    assert len(base_scored) == 3


def swept(whole: Whole, *, kill: bool) -> tuple[FineTuneRun, list[dict[str, Any]]]:
    """A run with its doses' runs; with `kill`, a worker in training and the orchestrator die once each."""
    whole.up()
    try:
        whole.submit("swept", SPEC)
        if kill:
            kill_once(whole, "posology.training.worker", during="sft")
            kill_once(whole, "posology.orchestrator.app", during="sft")
        run = whole.complete("swept", seconds=1500)
        doses = [whole.json("show", dose.run.rsplit("/", 1)[1]) for dose in run.window.doses]
        chosen = run.window.comparison.recommended
        if chosen:
            assert stage(run, "sft").reused
            assert stage(run, "sft").artifact == artifact(doses[chosen - 1], "sft")
        return run, doses
    finally:
        whole.posology("down")


def kill_once(whole: Whole, module: str, *, during: str) -> None:
    """SIGKILL the process of this module while a dose is in this stage and has a checkpoint."""
    until = time.monotonic() + 900
    while time.monotonic() < until:
        runs = [run for run in whole.json("runs") if "-dose-" in run["name"]]
        for run in runs:
            at_work = [s for s in run["stages"] if s["stage"] == during and s["state"] == "RUNNING"]
            if at_work and at_work[0].get("progress", {}).get("done", 0) >= 4:
                for process in psutil.process_iter():
                    try:
                        ours = process.environ().get("POSOLOGY_DATA_DIR") == str(whole.data)
                        if ours and module in process.cmdline():
                            process.send_signal(signal.SIGKILL)
                            return
                    except (psutil.NoSuchProcess, psutil.AccessDenied):
                        continue
        time.sleep(0.2)
    raise AssertionError(f"no {module} was at work in {during}")


def artifact(run: dict[str, Any], name: str) -> str:
    """What a stage of a run published."""
    return str(next(s for s in run["stages"] if s["stage"] == name).get("artifact", ""))
