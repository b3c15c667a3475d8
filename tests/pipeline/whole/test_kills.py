"""kill -9 of services, workers and the supervisor's children during a real run: it ends, with the same data set."""

from __future__ import annotations

import random
import signal
import threading
from pathlib import Path

import psutil
import pytest
from pipeline.whole.conftest import Finished
from pipeline.whole.installation import Whole, prepare, stage

from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

pytestmark = pytest.mark.slow
KILLS = 5


def test_a_run_survives_kills_and_makes_the_same_data_set(finished: Finished, tmp_path: Path) -> None:
    whole = Whole(tmp_path)
    prepare(tmp_path)
    whole.up()
    killed: list[str] = []
    ended = threading.Event()
    killer = threading.Thread(target=kill_at_random, args=(whole, killed, ended))
    try:
        whole.submit("micro")
        killer.start()
        run = whole.complete("micro")
    finally:
        ended.set()
        killer.join()
        whole.posology("down")
    assert len(killed) >= 3
    assert run.phase == FineTuneRun.SUCCEEDED, f"{run.message}; killed: {killed}"
    for name in ("curate", "preferences"):
        assert stage(run, name).artifact == stage(finished.run, name).artifact, name


def kill_at_random(whole: Whole, killed: list[str], ended: threading.Event) -> None:
    """Kill a random service or worker of the installation at seeded random moments."""
    chance = random.Random(7)
    while len(killed) < KILLS and not ended.wait(chance.uniform(3, 9)):
        victims = sorted(_victims(whole.data), key=lambda p: p.pid)
        if victims:
            victim = chance.choice(victims)
            killed.append(" ".join(victim.cmdline()[1:3]))
            victim.send_signal(signal.SIGKILL)


def _victims(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            ours = process.environ().get("POSOLOGY_DATA_DIR") == str(data)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        # Not the supervisor: on one machine there is nobody to start it again but the user.
        if ours and any(part.startswith("posology.") and part.endswith((".app", ".worker")) for part in command):
            found.append(process)
    return found
