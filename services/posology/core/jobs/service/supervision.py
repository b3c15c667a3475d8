"""What to do about a worker that is still there: a pure function of what is known."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from posology.core.jobs.domain import Failure, Job, Outcome, State
from posology.core.jobs.exit_codes import PEER_LOST_CODE, STOPPED_CODE, UNDELIVERED_CODE
from posology.core.jobs.service.rows import Attempt


@dataclass(frozen=True, kw_only=True)
class Timing:
    """All in seconds.

    `heartbeat`: how often workers report. `silence`: after how long without a report an attempt is lost.
    `start`: how long a worker may take to its first report. `grace`: between SIGTERM and SIGKILL, and for
    a worker to exit after its last report. `launching`: how long a launch itself may take. `interval`:
    between two looks at everything when nothing happens. `patience`: how long a worker waits for a service
    that is away before it gives up.
    """

    heartbeat: float = 5.0
    silence: float = 60.0
    start: float = 180.0
    grace: float = 30.0
    launching: float = 10.0
    interval: float = 0.5
    patience: float = 3600.0


class Action(StrEnum):
    """LEAVE it, ask it to STOP, KILL it; FENCE: end the attempt first, then kill it."""

    LEAVE = "LEAVE"
    STOP = "STOP"
    KILL = "KILL"
    FENCE = "FENCE"


def decide(job: Job, attempt: Attempt, *, time: datetime, since: datetime, timing: Timing) -> Action:
    """What to do now about a living worker. `since` is when this service began to listen: silence before
    that is the service's own."""
    grace = timedelta(seconds=timing.grace)
    if attempt.outcome is not None:
        over = attempt.outcome is Outcome.LOST or time > _latest(attempt.ended_at, since) + grace
        return Action.KILL if over else Action.LEAVE
    if job.attempt != attempt.attempt or job.state not in {State.RUNNING, State.CANCELLING}:
        return Action.KILL
    if job.state is State.CANCELLING:
        if attempt.stop_at is None:
            return Action.STOP
        return Action.KILL if time > attempt.stop_at + grace else Action.LEAVE
    allowed = timedelta(seconds=timing.silence if attempt.attached_at else timing.start)
    return Action.FENCE if time > max(attempt.heartbeat_at, since) + allowed else Action.LEAVE


def silence(attempt: Attempt, timing: Timing) -> Failure:
    """The failure of a fenced attempt."""
    if attempt.attached_at is None:
        return Failure("Unavailable", f"the worker did not report within {timing.start:.0f} s of its start")
    return Failure("Unavailable", f"the worker gave no sign of life for {timing.silence:.0f} s")


def ending(exit_code: int | None) -> tuple[Outcome, Failure | None]:
    """What the end of a process means that had not reported one."""
    if exit_code in {STOPPED_CODE, UNDELIVERED_CODE}:
        return Outcome.STOPPED, None
    if exit_code == PEER_LOST_CODE:
        message = "a process of this training was lost, and the others ended with it; their logs have the details"
    elif exit_code is None:
        message = "the worker ended without a result"
    elif exit_code < 0:
        message = f"the worker was killed by signal {-exit_code}" + (_MEMORY if exit_code == -9 else "")
    else:
        message = f"the worker ended with exit code {exit_code} and no result; its log has the details"
    return Outcome.CRASHED, Failure("Unavailable", message)


_MEMORY = "; if the machine ran out of memory, set a memory limit or give the job less to do at once"


def _latest(ended_at: datetime | None, since: datetime) -> datetime:
    return max(ended_at, since) if ended_at else since
