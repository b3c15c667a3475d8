"""The embedded launcher: one process group per attempt, found again after a restart of the service.

`<root>/<job>/<attempt>/` holds spec.json (with the attempt's token, mode 0600), worker.log and the exit
code; `<root>/<job>/work/` is the workdir that attempts hand on.
"""

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posology.core import errors
from posology.core.files import write_atomically
from posology.core.jobs.domain import Resources, slug
from posology.core.jobs.environment import SPEC_VARIABLE
from posology.core.jobs.launchers import processes
from posology.core.jobs.launchers.base import Handle, Launch, Observation
from posology.core.tracing import VARIABLE as TRACE_VARIABLE

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")


class LocalLauncher:
    """Runs workers as processes of this machine with `python`, below the folder `root`.

    `cache` holds verified copies of artifacts, `secrets` a file per secret, `service_file` the address of
    the service, which changes when it restarts on port 0.
    """

    def __init__(
        self,
        root: Path,
        *,
        python: str,
        cache: Path | None = None,
        secrets: Path | None = None,
        service_file: Path | None = None,
    ) -> None:
        self._root = root
        self._python = python
        self._cache = cache or root.parent / "cache" / "artifacts"
        self._secrets = secrets or root.parent / "secrets"
        self._service_file = service_file
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._cpus: dict[str, tuple[int, ...]] = {}

    async def launch(self, launch: Launch) -> Handle:
        """Start it in a process group of its own, so that a signal to the service does not reach it."""
        try:
            return await asyncio.to_thread(self._launch, launch)
        except OSError as error:
            raise _unlaunchable(error, self._root) from error

    def _launch(self, launch: Launch) -> Handle:
        folder = self._folder(launch.job, launch.attempt)
        folder.mkdir(parents=True, exist_ok=True)
        spec = self._write_spec(folder, launch)
        cpus = self._choose(launch.resources.cpus)
        with (folder / "worker.log").open("ab") as log:
            child = subprocess.Popen(
                [self._python, "-m", launch.command.module],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(launch, spec),
                start_new_session=True,
            )
        if cpus:
            os.sched_setaffinity(child.pid, cpus)  # before it starts threads, which inherit it
            self._cpus[str(folder)] = cpus
        self._children[str(folder)] = child
        return self._handle(child.pid, folder)

    async def find(self, job: str, attempt: int) -> Handle | None:
        folder = self._folder(job, attempt)
        return await asyncio.to_thread(self._find, folder)

    def _find(self, folder: Path) -> Handle | None:
        members = {p.pid: p.ppid() for p in processes.with_variable(SPEC_VARIABLE, str(folder / "spec.json"))}
        leaders = [pid for pid, parent in members.items() if parent not in members]
        return self._handle(min(leaders), folder) if leaders else None

    async def observe(self, handle: Handle) -> Observation:
        return await asyncio.to_thread(self._observe, handle)

    def _observe(self, handle: Handle) -> Observation:
        child = self._children.get(handle["folder"])
        code = child.poll() if child is not None else None
        if code is None and self._runs(handle):
            return Observation(alive=True)
        if self._end_members(handle):
            return Observation(alive=True)  # what it had started is being ended; the workdir is not free yet
        self._children.pop(handle["folder"], None)
        self._cpus.pop(handle["folder"], None)
        return Observation(alive=False, exit_code=_exit_code(Path(handle["folder"])) if code is None else code)

    async def stop(self, handle: Handle) -> None:
        if self._runs(handle):
            processes.send(handle["pid"], signal.SIGTERM)

    async def kill(self, handle: Handle) -> None:
        if self._runs(handle):
            processes.send(handle["pid"], signal.SIGKILL)
        await asyncio.to_thread(self._end_members, handle)

    async def clean(self, job: str) -> None:
        await asyncio.to_thread(self._clean, self._root / slug(job))

    async def close(self) -> None:
        """There is nothing to let go of."""

    def log_file(self, job: str, attempt: int) -> Path:
        """Standard output and error of one attempt."""
        return self._folder(job, attempt) / "worker.log"

    # --- details ---------------------------------------------------------------------------------------

    def _folder(self, job: str, attempt: int) -> Path:
        return self._root / slug(job) / str(attempt)

    def _write_spec(self, folder: Path, launch: Launch) -> Path:
        """spec.json, readable by this user only, whole or not at all."""
        places: Mapping[str, Any] = {
            "workdir": folder.parent / "work",
            "output": folder / "output",
            "inputs": self._cache,
            "secrets": self._secrets,
            "exit_file": folder / "exit",
            "service_file": self._service_file,
            "memory": launch.resources.memory,
            "expected": launch.resources.expected,
        }
        stated = {name: str(value) if isinstance(value, Path) else value for name, value in places.items()}
        return write_atomically(folder / "spec.json", json.dumps({**stated, **launch.assignment}), mode=0o600)

    def _handle(self, pid: int, folder: Path) -> Handle:
        return {"pid": pid, "started": processes.started(pid), "boot": processes.boot(), "folder": str(folder)}

    def _runs(self, handle: Handle) -> bool:
        """Whether the very process of the handle runs, not another one that got its number."""
        started = processes.started(handle["pid"])
        return started is not None and (started, processes.boot()) == (handle["started"], handle["boot"])

    def _end_members(self, handle: Handle) -> bool:
        """Kill whatever the attempt started (an engine, say) and left behind; whether there was any."""
        spec = str(Path(handle["folder"]) / "spec.json")
        members = list(processes.with_variable(SPEC_VARIABLE, spec))
        for member in members:
            processes.send(member.pid, signal.SIGKILL)
        return bool(members)

    def _choose(self, count: int | None) -> tuple[int, ...]:
        """The CPUs that the fewest workers have; empty for all of them."""
        available = sorted(os.sched_getaffinity(0))
        if count is None or count >= len(available):
            return ()
        taken = [cpu for cpus in self._cpus.values() for cpu in cpus]
        return tuple(sorted(available, key=taken.count)[:count])

    def _clean(self, folder: Path) -> None:
        """Everything but the logs and the exit codes; with spec.json goes the token."""
        for big in (folder / "work", *folder.glob("[0-9]*/output")):
            if big.exists():
                shutil.rmtree(big)
        for spec in folder.glob("[0-9]*/spec.json"):
            spec.unlink()


def _environment(launch: Launch, spec: Path) -> dict[str, str]:
    """The service's own, without its settings: workers get secrets and their spec, nothing else of ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("POSOLOGY_") or name.startswith(("POSOLOGY_SECRET_", "POSOLOGY_LOG_"))
    }
    ours = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "TOKENIZERS_PARALLELISM": "false"}
    # Threads that wait must sleep: while anything else runs on the machine, spinning ones cost several times the work.
    ours["OMP_WAIT_POLICY"] = "PASSIVE"
    threads = dict.fromkeys(_THREADS, str(_thread_count(launch.resources)))
    traced = {TRACE_VARIABLE: str(launch.assignment.get("traceparent", ""))}  # never the service's own
    return {**threads, **kept, **_forced(threads, launch.resources), **ours, **traced, **launch.command.environment} | {
        SPEC_VARIABLE: str(spec)
    }


def _thread_count(resources: Resources) -> int:
    """Oversubscribed threads cost a factor of 5 to 10: as many as CPUs, never more."""
    available = len(os.sched_getaffinity(0))
    return min(resources.cpus or available, available)


def _forced(threads: Mapping[str, str], resources: Resources) -> Mapping[str, str]:
    """A stated limit wins over the service's environment."""
    return threads if resources.cpus is not None else {}


def _exit_code(folder: Path) -> int | None:
    """What the worker wrote down at an orderly end; None after a kill, or for one that we did not start."""
    try:
        return int((folder / "exit").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _unlaunchable(error: OSError, root: Path) -> errors.PosologyError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.Exhausted(f"no space left on the disk of {root}; free some and start the job again")
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return errors.Unavailable(f"this machine can start no more processes now: {error.strerror}")
    return errors.FailedPrecondition(
        f"can't start a worker: {error.strerror}: {error.filename}; is POSOLOGY_WORKER_PYTHON right?"
    )
