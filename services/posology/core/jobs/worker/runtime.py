"""What a worker process imports: `JobContext`, `Result`, `Stopped` and `main`.

    def train(job: JobContext) -> Result:
        for step in range(start, steps):
            if job.stopping.is_set():
                save(job.workdir)
                raise Stopped(step)
            job.metric(step, loss=loss)
            job.progress(step, steps, "training")
        save(job.output)
        return Result("adapter", parents=(base, dataset), parameters={...}, summary={"loss": loss})

    if __name__ == "__main__":
        main({"sft": train})

A handler is plain synchronous code. It raises the classes of `core.errors`: those that say "fix the
request" end the job, the others, and every unknown exception, are tried again a few times.
"""

import errno
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from posology.core import errors, stored_secrets, tracing
from posology.core.canonical import canonical_json
from posology.core.jobs import spans
from posology.core.jobs.domain import Failure, Progress, StagedFile
from posology.core.jobs.exit_codes import DONE, FAILED, PEER_LOST_CODE, STOPPED_CODE, SUPERSEDED, UNDELIVERED_CODE
from posology.core.jobs.worker import assignment, nonzero_rank, ranks, staging
from posology.core.jobs.worker.assignment import Assignment
from posology.core.jobs.worker.checkpoint_sync import CheckpointSync
from posology.core.jobs.worker.eta import EtaEstimator
from posology.core.jobs.worker.link import Link, Superseded, Undelivered
from posology.core.jobs.worker.memory import MemoryWatch
from posology.core.jobs.worker.nonzero_rank import NullReporter
from posology.core.jobs.worker.ranks import PeerLost
from posology.core.model_endpoints.domain import ModelEndpoint, Usage, from_grant
from posology.core.model_endpoints.meter import Meter

if TYPE_CHECKING:
    from posology.core.model_endpoints.access import ModelAccess

__all__ = ["Handler", "JobContext", "PeerLost", "Result", "Stopped", "main"]

log = logging.getLogger("posology.worker")

_STORE_SECONDS = 5.0
"""Between two tries to hand the output over."""
_END_SECONDS = 15.0
"""How long threads and exit handlers of a finished worker may take before it is cut."""


class Stopped(Exception):
    """Raised by a handler after it saved its checkpoint; `step` is the step that it saved, 0 if none."""

    def __init__(self, step: int = 0) -> None:
        super().__init__(f"stopped at step {step}")
        self.step = step


@dataclass(frozen=True)
class Result:
    """What a handler made. The files in `JobContext.output` become an artifact of `kind`.

    `parents` are digests of what it was made from, `parameters` belong to its identity (no times, no names
    of runs); `summary` is small JSON shown on the resource and no part of the identity.
    """

    kind: str
    parents: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)


class JobContext:
    """What a handler sees of its job."""

    job: str
    """Full resource name."""
    kind: str
    attempt: int
    """From 1."""
    run: str
    """Full resource name of the run that it belongs to, "" for none."""
    trace: str
    """Trace id of the call that made the job: random, and the same for all its attempts."""
    spec: dict[str, Any]
    """JSON of the job's spec message, defaults filled in."""
    workdir: Path
    """Outlives the attempt: what is saved here, the next attempt finds."""
    output: Path
    """Empty at the start of each attempt; what is here at the end becomes the artifact."""
    stopping: threading.Event
    """Set when the job shall stop: save a checkpoint, then raise Stopped."""

    def __init__(
        self,
        assignment: Assignment,
        link: Link | NullReporter,
        stopping: threading.Event,
        checkpoints: CheckpointSync | None = None,
    ) -> None:
        self.job, self.kind, self.attempt, self.spec = (
            assignment.job,
            assignment.kind,
            assignment.attempt,
            assignment.spec,
        )
        self.run, self.trace = assignment.run, assignment.trace
        self.workdir, self.output, self.stopping = assignment.workdir, assignment.output, stopping
        self._given = assignment
        self._link = link
        self._pace = EtaEstimator()
        self._checkpoints = checkpoints
        self._handed_on = float("-inf")

    def checkpoint(self, *, every: float = 0.0) -> None:
        """Call it after saving into `workdir`: where the workdir ends with this worker's node, it is handed on
        to the next attempt from here, at most once in `every` seconds; elsewhere this does nothing. Files may
        grow meanwhile, but not change otherwise. What was saved before raising Stopped is handed on anyway.

        A store that does not take it is no reason to stop: a later checkpoint may get through.
        """
        clock = time.monotonic()
        if self._checkpoints is None or clock < self._handed_on + every:
            return
        self._handed_on = clock
        try:
            self._checkpoints.save()
        except errors.PosologyError as error:
            self.log("the checkpoint was not handed on", reason=error.message)

    def input(self, digest: str) -> Path:
        """A verified local copy of an artifact, shared by the attempts of this job. Don't write there."""
        return staging.fetch(digest, stores=self._given.stores, into=self._given.inputs)

    def progress(self, done: float, total: float, message: str = "") -> None:
        """Say how far it is; cheap, so call it as often as you like. The ETA comes from this attempt's pace."""
        self._link.progress(Progress(done, total, message, self._pace.eta(done, total)))

    def metric(self, step: int, **values: float) -> None:
        """Record numbers of one step; every one is kept."""
        self._link.metric(step, {name: float(value) for name, value in values.items()})

    def log(self, message: str, **fields: object) -> None:
        """Say something to the people who watch; it is kept, and written to the worker's log as well."""
        log.info(message, extra=dict(_loggable(fields)))
        self._link.log(message, fields)

    def secret(self, reference: str) -> str:
        """The value of a secret; FailedPrecondition says where it was looked for."""
        return stored_secrets.secret(reference, folder=self._given.secrets, kept=self._given.secrets_kept)

    def endpoint(self, name: str) -> "ModelAccess":
        """A model endpoint that the service granted this attempt, with its key; FailedPrecondition where it did not."""
        from posology.core.model_endpoints.access import ModelAccess  # an HTTP client, which few workers need

        grant = self._given.endpoints.get(name)
        if grant is None:
            raise errors.FailedPrecondition(f"this attempt was granted no model endpoint {name!r}; start the job again")
        endpoint = from_grant(name, grant)
        others = grant.get("others", {})
        meter = Meter(endpoint.budget, others=Usage(**others), report=partial(self._link.usage, name))
        self._link.on_others_use(name, meter.others_use)
        return ModelAccess(endpoint, self._key(endpoint), meter)

    def _key(self, endpoint: ModelEndpoint) -> str:
        """Checked here: what HTTP says of a header that it can't send shows the header."""
        if not endpoint.credentials_secret:
            return ""
        key = self.secret(endpoint.credentials_secret)
        if not key or not re.fullmatch(r"[\x21-\x7e]+", key):
            raise errors.FailedPrecondition(
                f"the secret of the model endpoint {endpoint.name} is no API key: it must be one word of printable "
                "ASCII; put the key into it anew"
            )
        return key


Handler = Callable[[JobContext], Result]


def main(handlers: Mapping[str, Handler]) -> NoReturn:
    """Entry of a worker process: run the handler of this job's kind, report, exit.

    Exit codes: 0 reported a result, 1 reported a failure, 3 another attempt took over, 75 had something to
    report and nobody took it, 76 lost another process of its job, 143 stopped.
    """
    own = assignment.read()
    _log_as_json(own)
    if ranks.rank() == 0:
        code = spans.attempt(own.job, own.kind, own.attempt, own.run, partial(_work, own, handlers))
    else:
        code = _follow(own, handlers)
    log.info("worker ends", extra={"exit_code": code})
    if own.exit_file and ranks.rank() == 0:
        own.exit_file.write_text(str(code))
    ranks.note_exit(code)
    _cut_after(_END_SECONDS, code)
    sys.exit(code)


def _work(assignment: Assignment, handlers: Mapping[str, Handler]) -> int:
    stopping = threading.Event()
    _listen_for_signals(stopping)
    link = Link(assignment, stopping)
    try:
        link.attach()  # nothing is touched before the service says that this attempt is the current one
        exceeded = partial(_out_of_memory, link)
        with MemoryWatch(assignment.memory, exceeded=exceeded, expected=assignment.expected, root=ranks.root()):
            return _report(link, lambda: _run(assignment, handlers, link, stopping), stopping)
    except Superseded as error:
        log.warning("another attempt took over", extra={"reason": str(error)})
        return SUPERSEDED
    except Undelivered as error:
        log.error("nobody took the last report", extra={"reason": str(error)})
        return STOPPED_CODE if stopping.is_set() else UNDELIVERED_CODE
    finally:
        link.close()


def _follow(assignment: Assignment, handlers: Mapping[str, Handler]) -> int:
    """As one of several processes, but not the first: the same work, without a word to the service."""
    stopping = threading.Event()
    _listen_for_signals(stopping)
    nonzero_rank.prepare(assignment)
    context = JobContext(assignment, nonzero_rank.NullReporter(), stopping)
    return nonzero_rank.follow(lambda: handlers[assignment.kind](context), failure_of, Stopped)


def _listen_for_signals(stopping: threading.Event) -> None:
    """SIGTERM asks this process to stop, and still ends the processes that it forks (data loaders, pools)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    def forget() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    os.register_at_fork(after_in_child=forget)


def _run(assignment: Assignment, handlers: Mapping[str, Handler], link: Link, stopping: threading.Event) -> Result:
    if stopping.is_set():
        raise Stopped
    handler = handlers.get(assignment.kind)
    if handler is None:
        raise errors.InvalidInput(
            f"this worker does no {assignment.kind!r} jobs; it does {', '.join(sorted(handlers))}"
        )
    assignment.workdir.mkdir(parents=True, exist_ok=True)
    staging.make_empty(assignment.output)
    context = JobContext(assignment, link, stopping, _take_over(assignment))
    try:
        return handler(context)
    except Stopped:
        context.checkpoint()
        raise


def _take_over(assignment: Assignment) -> CheckpointSync | None:
    """Fill the workdir with what the attempt before handed on, where that is needed."""
    if not assignment.checkpoints:
        return None
    sync = CheckpointSync(
        assignment.workdir, url=assignment.staging, prefix=assignment.checkpoints, attempt=assignment.attempt
    )
    earlier = sync.take_over()
    if earlier:
        log.info("goes on from a checkpoint", extra={"of_attempt": earlier})
    return sync


def _report(link: Link, run: Callable[[], Result], stopping: threading.Event) -> int:
    """Run the handler, tell the service how it ended, and wait until that is stored."""
    try:
        result = _exact(run())
        files = hand_over(link, stopping)
        link.result(result.kind, result.parents, result.parameters, result.summary, files)
        return DONE
    except (Superseded, Undelivered):
        raise
    except Stopped as stop:
        if not stopping.is_set():  # else a handler that stops by itself would be started again for ever
            link.failure(Failure("Internal", "the worker stopped although nobody had asked it to"))
            return FAILED
        link.stopped(stop.step)
        return STOPPED_CODE
    except PeerLost as error:
        log.error("another process of this job is gone", exc_info=error)
        return _alone(link)
    except Exception as error:  # whatever it is, the service must hear of it
        log.error("the handler failed", exc_info=error)
        link.failure(failure_of(error))
        return FAILED


def hand_over(link: Link, stopping: threading.Event) -> tuple[StagedFile, ...]:
    """Put the output where the service looks for it. A store that is away, or credentials for it that ran out while the
    service was, are worth as long a wait as the service itself."""
    own, until, logged = link.given, time.monotonic() + link.given.patience, False
    while True:
        try:
            return staging.stage(own.output, url=own.staging, prefix=own.prefix)
        except errors.Unavailable as error:
            if time.monotonic() > until:
                raise
            if not logged:
                link.log("the output waits for its store", {"reason": error.message})
            logged = True
            if stopping.wait(_STORE_SECONDS):
                raise Stopped from error


def _alone(link: Link) -> int:
    """Report what the other process left word of; else what became of it tells the launcher more than us."""
    failure = ranks.told_by_others()
    if failure is None:
        return PEER_LOST_CODE
    link.failure(failure)
    return FAILED


def _exact(result: Result) -> Result:
    """Refuse what the stream would change on its way: NaN, foreign types, integers that no double holds."""
    spelt = canonical_json({"parameters": result.parameters, "summary": result.summary})
    if re.search(rb"[:\[,]-?[0-9]{17,}[,\]}]", spelt):
        raise errors.InvalidInput("the result has an integer above 2**53; write it as text")
    return result


def failure_of(error: Exception) -> Failure:
    """What a user sees of an exception: never a traceback, which only the worker's log has."""
    if isinstance(error, errors.PosologyError):
        return Failure.of(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = error.filename or "the staging folder"
        return Failure("Exhausted", f"no space left on the disk of {place}; free some and start the job again")
    if isinstance(error, MemoryError):
        return Failure("Exhausted", "the worker ran out of memory; give it more or ask for less at once")
    first = (str(error).strip().splitlines() or [""])[0][:500]
    message = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return Failure("Internal", f"the worker failed with {message}; its log has the details")


def _out_of_memory(link: Link, failure: Failure) -> None:
    """Called from the watch's thread: report, then end at once, whatever the handler is doing."""
    log.error(failure.message)
    try:
        link.failure(failure, wait=5.0)
    except (Superseded, Undelivered) as error:
        log.error("nobody took the last report", extra={"reason": str(error)})
    if link.given.exit_file:
        link.given.exit_file.write_text(str(FAILED))
    ranks.note_exit(FAILED)
    os._exit(FAILED)


def _cut_after(seconds: float, code: int) -> None:
    """Threads that nobody joined must not keep a finished worker alive."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _log_as_json(assignment: Assignment) -> None:
    from posology.core import telemetry
    from posology.core.rpc import context

    context.run_id.set(assignment.run)
    there = context.parse_traceparent(os.environ.get(tracing.VARIABLE, ""))
    context.enter(there if there.trace else context.Place(assignment.trace))
    telemetry.log_as_json("worker", level=os.environ.get("POSOLOGY_LOG_LEVEL", "INFO"))


def _loggable(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Names that a log record has already get a prefix, because logging refuses them."""
    taken = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime"}
    return {f"field_{name}" if name in taken else name: value for name, value in fields.items()}
