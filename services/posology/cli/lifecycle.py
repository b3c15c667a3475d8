"""up, down, status: an embedded installation from the outside."""

import contextlib
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

from posology.cli import embedded, release_policy
from posology.client.installation import ENDPOINTS, read_endpoints
from posology.core.errors import FailedPrecondition, InvalidInput, Timeout, Unavailable, Violation

CONSOLE_LINK = "console-link"
"""Holds the secret of the next sign-in; the console writes it."""
_READY_SECONDS = 120.0
_ORPHAN_SECONDS = 90.0
_CRASHES = 2
"""A service may lose a race for a port once; what ends twice while `up` waits does not come up."""
SUPERVISOR_LOG = "supervisor.log"


@dataclass(frozen=True)
class Health:
    """One service, seen from outside."""

    service: str
    state: str
    address: str
    pid: int
    log: Path


def up(
    data_dir: Path,
    *,
    environment: Mapping[str, str],
    allowed: tuple[Path, ...],
    say: Callable[[str], None],
    policy: Path | None = None,
) -> None:
    """Start every service in the background and return when all serve; does nothing if they already do.

    FailedPrecondition if they run with other settings than these, or if one of them ends again and again, with what it
    said last; what was started is then stopped. InvalidInput if the folder can't be used. Signs the release policy
    first: `policy`, or `development` unless another was signed here before.
    """
    running = supervisor_pid(data_dir)
    if running is not None:
        _require_same(data_dir, environment, allowed)
        if policy is not None:
            _sign_policy(data_dir, policy, say)
        _await_ready(data_dir, say)
        return
    _end_orphans(data_dir)
    settings = {
        **embedded.environments(embedded.beside()),
        **environment,
        **_allowed((Path.cwd(), *allowed)),
    }
    _make_folder(data_dir)
    _sign_policy(data_dir, policy, say)
    supervisor = _start_supervisor(data_dir, settings)
    try:
        _await_ready(data_dir, say, supervisor)
    except FailedPrecondition:
        supervisor.terminate()
        supervisor.wait()
        raise


def _sign_policy(data_dir: Path, policy: Path | None, say: Callable[[str], None]) -> None:
    name = release_policy.ensure(data_dir, policy)
    say(f"What is released here is held against the release policy {name}.")


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def _unusable(data_dir: Path, error: OSError) -> InvalidInput:
    reason = (error.strerror or str(error)).lower()
    return InvalidInput.of([Violation("--data", f"{data_dir} can't hold an installation: {reason}")])


def _start_supervisor(data_dir: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        (data_dir / ENDPOINTS).unlink(missing_ok=True)
        descriptor = os.open(data_dir / SUPERVISOR_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with os.fdopen(descriptor, "ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "posology.cli.supervisor", str(data_dir)],
            stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    assert supervisor.stdin is not None
    with contextlib.suppress(BrokenPipeError), supervisor.stdin as pipe:
        pipe.write(json.dumps(settings).encode())
    return supervisor


def _require_same(data_dir: Path, environment: Mapping[str, str], allowed: tuple[Path, ...]) -> None:
    """Settings reach processes when they start: asking for others of what runs must not be passed over in silence."""
    running = read_endpoints(data_dir).get("settings", {})
    other = [f"--env {name}" for name, value in environment.items() if running.get(name) != embedded.fingerprint(value)]
    folders = [Path(folder) for folder in read_endpoints(data_dir).get("allowed", ())]
    other += [
        f"--allow {folder}" for folder in allowed if not any(folder.resolve().is_relative_to(one) for one in folders)
    ]
    if other:
        names = ", ".join(other)
        raise FailedPrecondition(
            f"an installation already runs in {data_dir}, without {names}; run `posology down`, then this again"
        )


def _end_orphans(data_dir: Path) -> None:
    """Services whose supervisor was killed: two sets must not work on the same databases."""
    try:
        processes = read_endpoints(data_dir).get("processes", {})
    except InvalidInput:
        return  # damaged: who ran is not known; the new supervisor writes it anew
    for name, module in embedded.MODULES.items():
        pid = processes.get(name, 0)
        if isinstance(pid, int) and pid > 0 and _is_ours(pid, module):
            process = psutil.Process(pid)
            process.terminate()
            with contextlib.suppress(psutil.Error):
                process.wait(_ORPHAN_SECONDS)


def _allowed(folders: tuple[Path, ...]) -> dict[str, str]:
    """Folders that `file:` URIs may name."""
    return {"POSOLOGY_ALLOWED_SOURCE_FOLDERS": ":".join(str(f.resolve()) for f in folders)} if folders else {}


def _await_ready(
    data_dir: Path, say: Callable[[str], None], supervisor: "subprocess.Popen[bytes] | None" = None
) -> None:
    deadline, reported = time.monotonic() + _READY_SECONDS, set[str]()
    while time.monotonic() < deadline:
        services = status(data_dir)
        for health in services:
            if health.state == "serving" and health.service not in reported:
                reported.add(health.service)
                say(f"{health.service} serves at {health.address}")
        if len(reported) == len(embedded.MODULES):
            return
        _raise_if_crashing(data_dir, supervisor)
        time.sleep(0.1)
    late = [h for h in status(data_dir) if h.state != "serving"]
    logs = ", ".join(str(h.log) for h in late) or str(data_dir / SUPERVISOR_LOG)
    raise Timeout(
        f"{', '.join(h.service for h in late) or 'the services'} did not start in {_READY_SECONDS:.0f} s; see {logs}"
    )


def _raise_if_crashing(data_dir: Path, supervisor: "subprocess.Popen[bytes] | None") -> None:
    if supervisor is not None and supervisor.poll() is not None:
        log = data_dir / SUPERVISOR_LOG
        raise FailedPrecondition(f"the supervisor ended ({supervisor.returncode}): {last_words(log)}; see {log}")
    for name in embedded.MODULES:
        try:
            crash = json.loads((data_dir / "run" / f"{name}.crashed").read_text())
        except (OSError, ValueError):
            continue
        if crash["times"] >= _CRASHES:
            log = data_dir / "logs" / f"{name}.log"
            raise FailedPrecondition(f"{name} does not start (exit code {crash['code']}): {last_words(log)}; see {log}")


def last_words(log: Path) -> str:
    """What a process said last: the message of a JSON line, or the last line of a traceback."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError as error:
        return f"its log can't be read: {error.strerror}"
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            return line[:500]
        if isinstance(entry, dict) and str(entry.get("level", "")).upper() in ("ERROR", "CRITICAL", "FATAL"):
            return str(entry.get("message", line))[:500]
    return lines[-1][:500] if lines else "it said nothing"


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
    written = read_endpoints(data_dir)
    if not written.get("processes"):
        return []
    return [_health(data_dir, name, written) for name in embedded.MODULES]


def _health(data_dir: Path, name: str, written: Mapping[str, Mapping[str, object]]) -> Health:
    pid = written["processes"].get(name, 0)
    pid = pid if isinstance(pid, int) else 0
    alive = _is_ours(pid, embedded.MODULES[name])
    ready = (data_dir / "run" / f"{name}.json").exists()
    state = ("serving" if ready else "starting") if alive else "stopped"
    address = str(written["addresses"].get(name, ""))
    return Health(name, state, address, pid if alive else 0, data_dir / "logs" / f"{name}.log")


def console_link(data_dir: Path) -> str:
    """The console's address, with the secret of the next sign-in where links sign people in; Unavailable where
    none runs."""
    ready, secret = data_dir / "run" / "console.json", data_dir / CONSOLE_LINK
    console = json.loads(ready.read_text()) if ready.exists() else {}
    if supervisor_pid(data_dir) is None or not console or (console.get("link", True) and not secret.exists()):
        raise Unavailable(f"no console runs in {data_dir}; start it with `posology up`")
    if not console.get("link", True):
        return f"{console['url']}/"
    return f"{console['url']}/sign-in#{secret.read_text().strip()}"


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
    except (psutil.Error, ValueError, OverflowError):
        return False
