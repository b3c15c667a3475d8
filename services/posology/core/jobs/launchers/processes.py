"""Processes of this machine by what cannot be reused: pid, start time and boot; and by their environment."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """Changes with every start of the machine; pids and start times from another boot mean nothing."""
    return _BOOT.read_text().strip() if _BOOT.exists() else str(psutil.boot_time())


def started(pid: int) -> int | None:
    """Start time in clock ticks since boot; None if there is no such process, or only its zombie.

    From /proc, because psutil's is in wall-clock time, which moves when the clock is set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()  # the name before may hold anything, even a bracket
    return None if state in "ZX" else int(rest[18])


def with_variable(name: str, value: str) -> Iterator[psutil.Process]:
    """Every process whose environment says `name=value`: a worker and all that it started, wherever it went."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def in_group(group: int) -> list[psutil.Process]:
    """The living members of a process group; what was killed but still gives its memory back is one of them."""
    return [process for process in psutil.process_iter() if _lives_in(process, group)]


def _lives_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def send(pid: int, number: signal.Signals) -> None:
    """Signal one process; gone already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
