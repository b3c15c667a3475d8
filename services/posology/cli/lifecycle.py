"""up, down, status: an embedded installation from the outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from posology.cli import embedded
from posology.client.installation import ENDPOINTS
from posology.core.errors import FailedPrecondition, Timeout

CONSOLE_LINK = "console-link"
"""Holds the secret of the next sign-in; the console writes it."""
_READY_SECONDS = 120.0


@dataclass(frozen=True)
class Health:
    """One service, seen from outside."""

    service: str
    state: str
    address: str
    pid: int
    log: Path


def up(
    data_dir: Path, *, environment: Mapping[str, str], allowed: tuple[Path, ...], say: Callable[[str], None]
) -> None:
    """Start every service in the background and return when all serve; does nothing if they already do."""
    if supervisor_pid(data_dir) is None:
        data_dir.mkdir(parents=True, exist_ok=True)
        settings = {**embedded.environments(embedded.beside()), **environment, **_allowed(allowed)}
        with (data_dir / "supervisor.log").open("ab") as output:
            subprocess.Popen(
                [sys.executable, "-m", "posology.cli.supervisor", str(data_dir), json.dumps(settings)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
    _await_ready(data_dir, say)


def _allowed(folders: tuple[Path, ...]) -> dict[str, str]:
    """Folders that `file:` URIs may name."""
    return {"POSOLOGY_ALLOWED_SOURCE_FOLDERS": ":".join(str(f.resolve()) for f in folders)} if folders else {}


def _await_ready(data_dir: Path, say: Callable[[str], None]) -> None:
    deadline, reported = time.monotonic() + _READY_SECONDS, set[str]()
    while time.monotonic() < deadline:
        services = status(data_dir)
        for health in services:
            if health.state == "serving" and health.service not in reported:
                reported.add(health.service)
                say(f"{health.service} serves at {health.address}")
        if len(reported) == len(embedded.MODULES):
            return
        time.sleep(0.1)
    late = [h for h in status(data_dir) if h.state != "serving"]
    logs = ", ".join(str(h.log) for h in late) or str(data_dir / "supervisor.log")
    raise Timeout(
        f"{', '.join(h.service for h in late) or 'the services'} did not start in {_READY_SECONDS:.0f} s; see {logs}"
    )


def down(data_dir: Path) -> None:
    """Stop every service and wait for their drain; does nothing if none runs."""
    pid = supervisor_pid(data_dir)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    try:
        psutil.Process(pid).wait(600)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        raise Timeout(f"the services are still draining; process {pid} stops them") from None


def status(data_dir: Path) -> list[Health]:
    """How each service stands; empty if none was ever started here."""
    path = data_dir / ENDPOINTS
    if not path.exists():
        return []
    written = json.loads(path.read_text())
    return [_health(data_dir, name, written) for name in embedded.MODULES]


def _health(data_dir: Path, name: str, written: Mapping[str, Mapping[str, object]]) -> Health:
    pid = int(str(written["processes"].get(name, 0)))
    alive = _is_ours(pid, embedded.MODULES[name])
    ready = (data_dir / "run" / f"{name}.json").exists()
    state = ("serving" if ready else "starting") if alive else "stopped"
    address = str(written["addresses"].get(name, ""))
    return Health(name, state, address, pid if alive else 0, data_dir / "logs" / f"{name}.log")


def console_link(data_dir: Path) -> str:
    """The console's address with the secret of the next sign-in; FailedPrecondition where none runs."""
    ready, secret = data_dir / "run" / "console.json", data_dir / CONSOLE_LINK
    if supervisor_pid(data_dir) is None or not ready.exists() or not secret.exists():
        raise FailedPrecondition(f"no console runs in {data_dir}; start it with `posology up`")
    return f"{json.loads(ready.read_text())['url']}/sign-in#{secret.read_text().strip()}"


def supervisor_pid(data_dir: Path) -> int | None:
    """The supervisor's process, if it runs."""
    path = data_dir / embedded.PID_FILE
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return pid if _is_ours(pid, "posology.cli.supervisor") else None


def _is_ours(pid: int, module: str) -> bool:
    """Whether a process number still is the module that it was: numbers are used again."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and module in process.cmdline()
    except psutil.NoSuchProcess:
        return False
