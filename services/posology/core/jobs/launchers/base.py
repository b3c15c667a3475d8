"""What the reconcile loop needs from the world that runs workers; `local` is the embedded one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from posology.core import errors
from posology.core.jobs.domain import Command, Failure, QueueState, Resources

Handle = Mapping[str, Any]
"""What a launcher needs to find a worker again: JSON, stored with the attempt."""


@dataclass(frozen=True)
class Launch:
    """One attempt to start. `assignment` is the part of spec.json that does not depend on the launcher."""

    job: str
    attempt: int
    assignment: Mapping[str, Any]
    command: Command
    resources: Resources


@dataclass(frozen=True)
class Observation:
    """Whether a worker is alive; when it is not, its exit code (negative: the signal), None if unknown.

    `where` says in words where it runs or what it waits for, "" for nothing worth saying. `patient`: it waits
    for capacity, so that its time to report has not begun. `queued`: nothing of it runs, and a queue decides
    when something will; `queue` is what that queue decided. `stopped`: it was ended from outside (a drained
    node, a deleted pod), which is no failure of the job. `failure` says why it ended, where the launcher knows
    better than the exit code.
    """

    alive: bool
    exit_code: int | None = None
    where: str = ""
    patient: bool = False
    queued: bool = False
    queue: QueueState | None = None
    stopped: bool = False
    failure: Failure | None = None


class LauncherUnavailable(errors.Unavailable):
    """The place where workers run does not answer. What became of the call is unknown; `find` tells later."""


class JobLauncher(Protocol):
    """Starts, finds and ends workers. Every call may be repeated; none blocks for longer than seconds."""

    async def launch(self, launch: Launch) -> Handle:
        """Start a worker for this attempt; it works only after the service has acknowledged its hello.
        LauncherUnavailable
        is no failure of the attempt."""

    async def find(self, job: str, attempt: int) -> Handle | None:
        """The worker of an attempt whose handle was not stored, because the service died in between."""

    async def observe(self, handle: Handle) -> Observation:
        """Not alive means that nothing of the attempt runs any more, so that its workdir is free."""

    async def stop(self, handle: Handle) -> None:
        """Ask it to checkpoint and exit (SIGTERM)."""

    async def kill(self, handle: Handle) -> None:
        """End it and everything that it started, now."""

    async def clean(self, job: str) -> None:
        """Remove workdir and output of a job that is over; its logs stay."""

    async def close(self) -> None:
        """Let go of connections; workers stay."""
