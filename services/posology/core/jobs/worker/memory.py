"""A memory limit that names itself: watches the resident memory of this process and its children.

Address-space limits don't work with torch, which reserves far more than it uses; the kernel's own limit
kills without a word. So a thread looks twice a second.
"""

import os
import threading
from collections.abc import Callable
from typing import Self

import psutil

from posology.core.jobs.domain import Failure
from posology.core.jobs.environment import memory_advice

_SECONDS = 0.5


class MemoryWatch:
    """While entered, calls `exceeded` once, from its own thread, when more than `limit` bytes are resident in the
    process `root` (this one by default) and its descendants."""

    def __init__(
        self, limit: int | None, *, exceeded: Callable[[Failure], None], expected: str = "", root: int = 0
    ) -> None:
        self._limit = limit
        self._root = root or os.getpid()
        self._expected = expected
        self._exceeded = exceeded
        self._over = threading.Event()

    def __enter__(self) -> Self:
        if self._limit is not None:
            threading.Thread(target=self._watch, args=(self._limit,), name="memory", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self, limit: int) -> None:
        while not self._over.wait(_SECONDS):
            if resident(self._root) > limit and (used := proportional(self._root)) > limit:
                self._exceeded(too_much(used, limit, self._expected))
                return


def resident(pid: int) -> int:
    """Bytes of resident memory of a process and everything it started. A page that forked processes share
    counts for each of them, so this is an upper bound."""
    return _total(pid, lambda process: int(process.memory_info().rss))


def proportional(pid: int) -> int:
    """The same, with shared pages divided among those who share them; true, and much slower."""
    return _total(pid, lambda process: int(process.memory_full_info().pss))


def _total(pid: int, size: Callable[[psutil.Process], int]) -> int:
    total, root = 0, psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            total += size(process)
        except psutil.NoSuchProcess:
            continue
    return total


def too_much(used: int, limit: int, expected: str = "") -> Failure:
    message = f"the worker used {_gib(used)} of memory, more than its limit of {_gib(limit)}"
    return Failure("Exhausted", f"{message}; {memory_advice(expected)}")


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
