"""Workers of several processes, one per GPU or per node: torchrun starts them, and rank 0 alone speaks to the service.

    ranks.spread("posology.training.worker", processes=4)   # comes back at once where one process is enough
    main(handlers)

The process that spreads waits for the others, passes SIGTERM on to them (torchrun itself would kill them after 30 s),
and ends with the exit code that says most. On a cluster each pod has one such process; the pods find the first of them
by its name. The loss of any process ends all of them, and the attempt with them.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psutil

from posology.core.files import write_atomically
from posology.core.jobs import environment
from posology.core.jobs.domain import Failure
from posology.core.jobs.environment import FIRST_NODE, NODE_RANK, NODES, TERMINATION_LOG
from posology.core.jobs.exit_codes import PEER_LOST_CODE, STOPPED_CODE

log = logging.getLogger("posology.worker")

PORT = 29500
"""Where the first node listens for the others; a pod has its ports to itself."""

_FOLDER, _ROOT = "POSOLOGY_RANKS_FOLDER", "POSOLOGY_RANKS_ROOT"
_PATIENCE_SECONDS = 3.0
"""How long rank 0 waits to hear why another process ended."""


class PeerLost(Exception):
    """Raised by a handler when another process of its job is gone: that one knows why, this one does not."""


# --- what a process is ------------------------------------------------------------------------------------


def rank() -> int:
    """Number of this process among all; the one with 0 speaks for them."""
    return int(os.environ.get("RANK", "0")) if _FOLDER in os.environ else 0


def local_rank() -> int:
    """Number of this process on its machine, which is also that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if _FOLDER in os.environ else 0


def world() -> int:
    """How many processes work together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if _FOLDER in os.environ else 1


def is_first_of_another_machine() -> bool:
    """Whether it is the first process on a machine that is not that of rank 0."""
    return local_rank() == 0 and int(os.environ.get("GROUP_RANK", "0")) > 0


def root() -> int:
    """The process whose descendants are this worker's processes on its machine."""
    return int(os.environ.get(_ROOT, os.getpid()))


# --- the process that spreads -------------------------------------------------------------------------------


def spread(module: str, *, processes: int) -> None:
    """Run `python -m module` in `processes` processes on each node, and exit as they did; come back at once in one
    of them, or where there shall be one only."""
    nodes = int(os.environ.get(NODES, "1"))
    if _FOLDER in os.environ or processes * nodes == 1:
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **_threads(processes), _FOLDER: folder, _ROOT: str(os.getpid())}
        command = [sys.executable, "-m", "torch.distributed.run", *_options(processes, nodes), "-m", module]
        with _passing_signals_on() as stop:
            stop.child = child = subprocess.Popen(command, env=environment)
            ended = _wait(child, stop)
        code = _code(ended, Path(folder), stopped=stop.stop.is_set())
    sys.exit(code)


def _options(processes: int, nodes: int) -> list[str]:
    shared = ["--nproc-per-node", str(processes), "--max-restarts", "0"]
    if nodes == 1:
        return ["--standalone", *shared]
    where = ["--master-addr", os.environ[FIRST_NODE], "--master-port", str(PORT)]
    return ["--nnodes", str(nodes), "--node-rank", os.environ[NODE_RANK], *where, *shared]


def _threads(processes: int) -> dict[str, str]:
    """The processes share the CPUs of one: oversubscribed threads cost a factor of 5 to 10."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    cpus = int(allowed) if allowed.isdigit() else len(os.sched_getaffinity(0))
    return {"OMP_NUM_THREADS": str(max(1, cpus // processes))}


def _wait(child: "subprocess.Popen[bytes]", stop: "_Told") -> int:
    """Its exit code. A wish to stop is passed on again and again: a process that has just begun may have missed it."""
    while True:
        try:
            return child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            if stop.stop.is_set():
                stop.pass_on()


class _Told:
    """Whether this worker was told to stop, and whom to tell."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.child: subprocess.Popen[bytes] | None = None

    def pass_on(self, *_: object) -> None:
        self.stop.set()
        if self.child is not None:
            for process in _ranks_below(self.child.pid):
                process.send_signal(signal.SIGTERM)


@contextmanager
def _passing_signals_on() -> Iterator[_Told]:
    """SIGTERM goes to every rank, and not to torchrun."""
    stop = _Told()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.pass_on)
    yield stop


def _ranks_below(pid: int) -> Iterator[psutil.Process]:
    try:
        yield from psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return


def _code(ended: int, folder: Path, *, stopped: bool) -> int:
    """The exit code of all: that of rank 0, unless it only knows that another one is gone."""
    if ended == 0:
        return 0
    codes = {int(path.name): int(path.read_text()) for path in folder.iterdir() if path.name.isdigit()}
    if codes.get(0, PEER_LOST_CODE) != PEER_LOST_CODE:
        return codes[0]
    telling = [code for code in codes.values() if code not in {0, STOPPED_CODE, PEER_LOST_CODE}]
    if telling:
        return telling[0]
    return STOPPED_CODE if stopped or STOPPED_CODE in codes.values() else PEER_LOST_CODE


# --- the processes --------------------------------------------------------------------------------------------


def note_exit(code: int) -> None:
    """Say how this process ends: torchrun's own exit code does not."""
    if _FOLDER in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # an interpreter that is ending would die of it
        _write(str(rank()), str(code))


def note_failure(failure: Failure) -> None:
    """Leave word for rank 0, and for whoever looks at this pod."""
    text = environment.failure_to_text(failure)
    _write(f"failure-{rank()}", text)
    if TERMINATION_LOG.exists() and os.access(TERMINATION_LOG, os.W_OK):
        TERMINATION_LOG.write_text(text)


def told_by_others() -> Failure | None:
    """Why another process on this machine failed, if it left word."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for path in Path(os.environ[_FOLDER]).glob("failure-*"):
            return environment.failure_from_text(path.read_text())
        time.sleep(0.1)
    return None


def wait_for_the_first() -> None:
    """Stay until rank 0 has ended, if it is on this machine: torchrun ends the others when one ends badly."""
    first = Path(os.environ[_FOLDER]) / "0"
    while int(os.environ.get("GROUP_RANK", "0")) == 0 and not first.exists():
        time.sleep(0.1)


def leave(code: int) -> NoReturn:
    """End this process with `code`."""
    note_exit(code)
    sys.exit(code)


def _write(name: str, text: str) -> None:
    """Whole or not at all."""
    write_atomically(Path(os.environ[_FOLDER]) / name, text)
