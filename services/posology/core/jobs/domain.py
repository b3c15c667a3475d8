"""What a job is, how its attempts end, and when it is tried again."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from posology.core import errors
from posology.core.retries import Backoff


class State(StrEnum):
    """Where a job stands; the last three are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    PUBLISHING = "PUBLISHING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class QueueState(StrEnum):
    """Where a worker stands in a queue that shares a cluster out (Kueue's). PREEMPTED: it had its place, gave it
    back, and waits for another one."""

    QUEUED = "QUEUED"
    ADMITTED = "ADMITTED"
    PREEMPTED = "PREEMPTED"


class Outcome(StrEnum):
    """How one attempt ended. Only RETURNED leads to an artifact; STOPPED and CANCELLED are no failures."""

    RETURNED = "RETURNED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    LOST = "LOST"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units; `eta` in seconds from now, None until it can be estimated."""

    done: float
    total: float
    message: str = ""
    eta: float | None = None


@dataclass(frozen=True)
class Failure:
    """An error of the tree in `core.errors`, as data: its class name, its message, its violations."""

    error: str
    message: str
    violations: tuple[errors.Violation, ...] = ()

    @property
    def final(self) -> bool:
        """Whether trying again cannot help. `Internal` (a defect, or an unknown exception) is tried again."""
        error_class = error_classes().get(self.error, errors.Internal)
        return not error_class.retryable and not issubclass(error_class, errors.Internal)

    def exception(self) -> errors.PosologyError:
        return error_classes().get(self.error, errors.Internal)(self.message, violations=self.violations)

    @classmethod
    def of(cls, error: errors.PosologyError) -> "Failure":
        """Named by the class of `core.errors` that it is or derives from: others exist in one process only."""
        known = next(base for base in type(error).__mro__ if base.__module__ == errors.__name__)
        return cls(known.__name__, error.message, error.violations)


def error_classes() -> dict[str, type[errors.PosologyError]]:
    """Every class of the error tree by its name."""
    return {error_class.__name__: error_class for error_class in _tree(errors.PosologyError)}


def _tree(root: type[errors.PosologyError]) -> Iterator[type[errors.PosologyError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


@dataclass(frozen=True)
class StagedFile:
    """A file that an attempt left in its staging folder; `size` in bytes, `sha256` in hex."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Product:
    """What an attempt returned, before publication: `kind` of artifact, parents' digests, and its files."""

    kind: str
    parents: tuple[str, ...]
    parameters: Mapping[str, Any]
    summary: Mapping[str, Any]
    files: tuple[StagedFile, ...]


@dataclass(frozen=True)
class NewJob:
    """A job to create. `spec` is the JSON of the spec message; `request_id` makes the call repeatable."""

    name: str
    kind: str
    spec: Mapping[str, Any]
    request_id: str = ""


@dataclass(frozen=True)
class Job:
    """One job as stored. `attempt` is the current attempt's number, 0 before the first.

    `failures` counts attempts that failed, crashed or were lost; `artifact` is the published digest, ""
    before; `error` is the last failure, kept while the job is tried again; `reason` says in words why the
    job is in its state; `queue_state` is None where no queue decides; `sequence` is the number of its last
    event.
    """

    name: str
    kind: str
    spec: Mapping[str, Any]
    request_id: str
    creator: str
    run: str
    trace: str
    state: State
    reason: str
    attempt: int
    failures: int
    wake_at: datetime
    created_at: datetime
    updated_at: datetime
    sequence: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: Progress | None = None
    error: Failure | None = None
    product: Product | None = None
    artifact: str = ""
    queue_state: QueueState | None = None
    traceparent: str = ""
    """Where in a trace it was made; its own span is below."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """The small JSON that the worker returned; empty until it did."""
        return self.product.summary if self.product else {}


class EventKind(StrEnum):
    """STATE and PROGRESS tell where the job is; METRIC and LOG come from its handler."""

    STATE = "STATE"
    PROGRESS = "PROGRESS"
    METRIC = "METRIC"
    LOG = "LOG"


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job. Hand `resume_token` back to `watch` to go on after this event.

    `data` by kind: STATE {state, reason}; PROGRESS {done, total, message, eta}; METRIC {step, values};
    LOG {message, fields}.
    """

    job: str
    sequence: int
    time: datetime
    attempt: int
    kind: EventKind
    data: Mapping[str, Any]

    @property
    def resume_token(self) -> str:
        return str(self.sequence)


def slug(job: str) -> str:
    """`namespaces/a/trainingJobs/b` as one file name: `a.trainingJobs.b`; no two jobs share one."""
    return job.removeprefix("namespaces/").replace("/", ".")


def staging_prefix(job: str, attempt: int) -> str:
    """Where the files of an attempt lie in the staging area; its credentials cover no more."""
    return f"jobs/{slug(job)}/{attempt}"


def checkpoint_prefix(job: str) -> str:
    """Where workers hand on their workdir when it does not outlive them, a folder per attempt."""
    return f"jobs/{slug(job)}/checkpoints"


def sequence_of(resume_token: str) -> int:
    """The sequence number in a resume token; "" is the beginning."""
    if not resume_token:
        return 0
    if not (resume_token.isascii() and resume_token.isdigit() and len(resume_token) <= 18):
        raise errors.InvalidInput.of(
            [errors.Violation("resume_token", "not a token of this service; leave it empty to start over")]
        )
    return int(resume_token)


@dataclass(frozen=True)
class Resources:
    """What one attempt may use. None: no limit. `memory` in bytes, resident, the whole process tree.

    `node_pool` and `queue` (Kueue's) mean something on a cluster only; "" leaves them to the installation.
    `gpus` are those of each of the `nodes`. `expected` says in words how much memory this very job was planned
    to need; people read it when the memory did not suffice.
    """

    cpus: int | None = None
    memory: int | None = None
    gpus: int = 0
    node_pool: str = ""
    queue: str = ""
    expected: str = ""
    nodes: int = 1

    @property
    def processes(self) -> int:
        """How many work together: one per GPU, or one per node without GPUs."""
        return max(1, self.gpus) * self.nodes


@dataclass(frozen=True)
class RetryPolicy:
    """How often a job may fail, and the pauses between (seconds, doubling up to `longest`)."""

    failures: int = 3
    first: float = 1.0
    longest: float = 60.0

    def pause(self, failures: int) -> timedelta:
        """How long to wait after the `failures`-th failure."""
        return timedelta(seconds=Backoff(self.first, self.longest).pause(failures))


@dataclass(frozen=True)
class Origin:
    """What a job makes and from what, by its spec and by what was recorded of its inputs. Its worker has no say in it:
    a product of another kind, or from other parents, is not published."""

    kind: str
    parents: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """They stand in the manifest whatever the worker says."""
    observed: frozenset[str] = frozenset()
    """Parameters that only the worker can know; of what else it says nothing is kept."""


OriginOf = Callable[[Job], Origin]
"""Blocking: it may read manifests."""


@dataclass(frozen=True)
class Command:
    """How a kind of job is run: `python -m module` under a launcher, within `resources`."""

    module: str
    resources: Resources = Resources()
    retry: RetryPolicy = RetryPolicy()
    environment: Mapping[str, str] = field(default_factory=dict)
    resources_of: Callable[[Mapping[str, Any]], Resources] | None = None
    expectation_of: Callable[[Mapping[str, Any]], Awaitable[str]] | None = None
    """What a job of this spec is planned to need, see `Resources.expected`."""
    origin_of: OriginOf | None = None
    """Without it nothing that jobs of this kind make is published."""
    endpoints_of: Callable[[Mapping[str, Any]], Sequence[str]] | None = None
    """Names of the model endpoints that a job of this spec uses."""

    def resources_for(self, spec: Mapping[str, Any]) -> Resources:
        """The limits of one job: those its spec asks for, where this kind lets a spec ask."""
        return self.resources_of(spec) if self.resources_of else self.resources


@dataclass(frozen=True)
class Decision:
    """What becomes of a job whose attempt ended without a product."""

    state: State
    reason: str
    failures: int
    error: Failure | None
    pause: timedelta = timedelta(0)


def after(job: Job, outcome: Outcome, failure: Failure | None, *, retry: RetryPolicy) -> Decision:
    """Decide after an attempt: cancelled, final error, given up, or another attempt after a pause."""
    if job.state is State.CANCELLING or outcome is Outcome.CANCELLED:
        return Decision(State.CANCELLED, "cancelled on request", job.failures, job.error)
    if outcome is Outcome.STOPPED or failure is None:
        reason = "the worker was stopped and goes on from its checkpoint"
        return Decision(State.PENDING, reason, job.failures, job.error, timedelta(seconds=retry.first))
    if failure.final:
        return Decision(State.FAILED, failure.message, job.failures + 1, failure)
    return _again_or_give_up(job.failures + 1, failure, retry)


def _again_or_give_up(failures: int, failure: Failure, retry: RetryPolicy) -> Decision:
    if failures >= retry.failures:
        reason = f"gave up after {failures} failed attempts; the last one: {failure.message}"
        given_up = Failure(failure.error, reason, failure.violations)
        return Decision(State.FAILED, reason, failures, given_up)
    pause = retry.pause(failures)
    reason = f"attempt failed ({failure.message}); next try in {pause.total_seconds():.0f} s"
    return Decision(State.PENDING, reason, failures, failure, pause)
