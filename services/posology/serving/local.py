"""Agents as processes of this machine, which outlive the service that started them.

An agent holds a file lock from before its first instruction until its end, so a service that was killed
finds every agent again by that lock: no process id that may have been given to another, no gap in which
an agent runs unseen.
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from posology.serving.agent import report
from posology.serving.domain import ReplicaState, Status
from posology.serving.launcher import Launch

_LOCK = "lock"
_PID = "pid"


@dataclass(frozen=True)
class Place:
    """What every agent of this machine shares; see the agent's settings."""

    root: Path
    """One folder per replica below it."""
    released_url: str
    weights_dir: Path
    trusted: Callable[[], tuple[Path, ...]]
    revoked_file: Path
    policy_file: Path
    policy_keys: Callable[[], tuple[Path, ...]]
    review_keys: Callable[[], tuple[Path, ...]]
    deny_list_file: Path
    deny_list_keys: Callable[[], tuple[Path, ...]]
    deny_list_mark: Path
    engine_python: str
    released_credentials: str = ""
    engine_url: str = ""
    engine_threads: int = 0
    ready_seconds: float = 600.0
    drain_seconds: float = 600.0
    log_level: str = "INFO"


@dataclass
class LocalLauncher:
    """The launcher of an embedded installation."""

    place: Place
    _children: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    async def start(self, launch: Launch) -> None:
        await asyncio.to_thread(self._start, launch)

    async def observe(self, replica: str) -> Status | None:
        last_status = await asyncio.to_thread(report.read, self._folder(replica))
        if last_status is not None:
            return last_status[0]
        return Status(ReplicaState.FETCHING, "the agent starts") if await self.alive(replica) else None

    async def alive(self, replica: str) -> bool:
        return await asyncio.to_thread(self._locked, replica)

    async def stop(self, replica: str) -> None:
        self._signal(replica, signal.SIGTERM)

    async def kill(self, replica: str) -> None:
        """The engine's guard ends the engine when its agent dies."""
        self._signal(replica, signal.SIGKILL)

    async def forget(self, replica: str) -> None:
        last_status = await asyncio.to_thread(report.read, self._folder(replica))
        if (
            last_status is None or last_status[0].state is not ReplicaState.FAILED
        ):  # else its logs stay for whoever asks why
            await asyncio.to_thread(shutil.rmtree, self._folder(replica), ignore_errors=True)

    def _start(self, launch: Launch) -> None:
        folder = self._folder(launch.replica)
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _try(lock):
                return  # it runs already
            (folder / report.STATUS_FILE).unlink(missing_ok=True)
            with (folder / "agent.log").open("ab") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", "posology.serving.agent.app"],
                    env=self._environment(launch, folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock],  # the lock goes with this descriptor: held until the agent ends
                    start_new_session=True,
                )
            (folder / _PID).write_text(str(child.pid))
            self._children[launch.replica] = child
        finally:
            os.close(lock)

    def _environment(self, launch: Launch, folder: Path) -> Mapping[str, str]:
        place = self.place
        variables = {
            "replica": launch.replica,
            "deployment": launch.deployment,
            "model": launch.model,
            "verdict": launch.verdict,
            "model_name": launch.model_name,
            "engine": json.dumps(dict(launch.engine)),
            "token": launch.token,
            "released_url": place.released_url,
            "released_credentials": place.released_credentials,
            "weights_dir": str(place.weights_dir),
            "keys": json.dumps([str(key) for key in place.trusted()]),
            "revoked_file": str(place.revoked_file),
            "policy_file": str(place.policy_file),
            "policy_keys": json.dumps([str(key) for key in place.policy_keys()]),
            "review_keys": json.dumps([str(key) for key in place.review_keys()]),
            "deny_list_file": str(place.deny_list_file),
            "deny_list_keys": json.dumps([str(key) for key in place.deny_list_keys()]),
            "deny_list_mark": str(place.deny_list_mark),
            "directory": str(folder),
            "engine_python": place.engine_python,
            "engine_url": place.engine_url,
            "engine_threads": str(place.engine_threads),
            "ready_seconds": str(place.ready_seconds),
            "drain_seconds": str(place.drain_seconds),
            "log_level": place.log_level,
        }
        return os.environ | {f"POSOLOGY_AGENT_{name.upper()}": value for name, value in variables.items()}

    def _locked(self, replica: str) -> bool:
        """Whether an agent holds the replica's lock; a child that ended is reaped on the way."""
        if (child := self._children.get(replica)) is not None and child.poll() is not None:
            del self._children[replica]
        try:
            lock = os.open(self._folder(replica) / _LOCK, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _try(lock)
        finally:
            os.close(lock)

    def _signal(self, replica: str, number: signal.Signals) -> None:
        """Only while the lock is held, so the id is certainly the agent's."""
        if self._locked(replica) and (pid := self._pid(replica)) is not None:
            os.kill(pid, number)

    def _pid(self, replica: str) -> int | None:
        try:
            return int((self._folder(replica) / _PID).read_text())
        except FileNotFoundError:
            # The service died between start and note; the agent's own word follows within a second.
            last_status = report.read(self._folder(replica))
            return None if last_status is None else last_status[1]

    def _folder(self, replica: str) -> Path:
        return self.place.root / replica


def _try(lock: int) -> bool:
    """Take the lock if nobody holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
