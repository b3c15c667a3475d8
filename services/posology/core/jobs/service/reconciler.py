"""The loop that makes the world agree with the rows: start, watch over, fence, publish, clean up.

It keeps nothing in memory that matters: killed at any point, the next one goes on from the database and
from what the launcher sees.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from posology.core import errors, telemetry
from posology.core.controllers import ControlLoop
from posology.core.jobs import spans
from posology.core.jobs.domain import Command, Failure, Job, Outcome, QueueState, Resources, RetryPolicy, State
from posology.core.jobs.launchers.base import Handle, JobLauncher, Launch, LauncherUnavailable, Observation
from posology.core.jobs.service import model_usage, repository
from posology.core.jobs.service.event_ingest import hash_token
from posology.core.jobs.service.locations import AttemptLocations
from posology.core.jobs.service.publisher import Publisher
from posology.core.jobs.service.rows import Attempt
from posology.core.jobs.service.servicer import Streams
from posology.core.jobs.service.supervision import Action, Timing, decide, ending, silence
from posology.core.model_endpoints.document import Registry
from posology.core.names import namespace_of
from posology.core.notifications import Signals
from posology.core.store import Database, now

log = logging.getLogger("posology.jobs")

_SHOW_SECONDS = 5.0
_IDLE_SECONDS = 2.0
"""Between two looks when every job is over; what this process creates wakes the loop at once."""
_PATIENCE_SECONDS = 5.0
"""How often it is written down that a worker still waits for capacity."""


class Reconciler:
    """One per service process. `concurrency` is how many workers may run at the same time."""

    def __init__(
        self,
        db: Database,
        launcher: JobLauncher,
        publisher: Publisher,
        commands: Mapping[str, Command],
        locations: AttemptLocations,
        streams: Streams,
        changes: Signals,
        *,
        service: str,
        concurrency: int,
        timing: Timing,
        model_endpoints: Registry | None = None,
    ) -> None:
        self._db = db
        self._launcher = launcher
        self._publisher = publisher
        self._commands = commands
        self._locations = locations
        self._streams = streams
        self._changes = changes
        self._service = service
        self._concurrency = concurrency
        self._timing = timing
        self._loop = ControlLoop(
            f"jobs of {service}",
            self.reconcile_once,
            interval=timing.interval,
            wake=changes.any,
            survives=Exception,  # a defect that one job meets must not hold up the others
        )
        self._model_endpoints = model_endpoints
        self._draining = False
        self._since: datetime | None = None
        self._looked: datetime | None = None
        self._shown = float("-inf")

    async def run(self) -> None:
        """For ever; ends by cancellation."""
        try:
            await self._loop.run()
        finally:
            await self._publisher.close()
            await self._launcher.close()

    async def reconcile_once(self) -> float | None:
        """One look at everything."""
        async with self._db.read() as tx:
            overview = await repository.overview(tx)
        self._listen(overview.time)
        for attempt in overview.alive:
            await self._guarded(self._supervise(attempt))
        self._publisher.begin(overview.to_publish)
        while overview.due and not self._draining and await self._start_one():
            pass
        for name in overview.to_clean:
            await self._guarded(self._clean(name))
        await self._show()
        return None if overview.open else _IDLE_SECONDS

    def _listen(self, time: datetime) -> None:
        """After a gap (a restart, a database that was away, a laptop that slept) workers get time to report."""
        if self._looked is None or time - self._looked > timedelta(seconds=self._timing.silence / 2):
            self._since = time
        self._looked = time

    def drain(self) -> None:
        """Start nothing more."""
        self._draining = True

    async def stop_workers(self) -> None:
        """Ask every worker to checkpoint and exit, because this installation shuts down."""
        async with self._db.read() as tx:
            attempts = await repository.alive(tx)
        for attempt in attempts:
            if attempt.handle is not None:
                await self._guarded(self._launcher.stop(attempt.handle))

    async def _guarded(self, doing: Awaitable[Any]) -> None:
        """One job's trouble must not hold up the others: it is logged, and the next look tries again."""
        try:
            await doing
        except errors.PosologyError as error:
            log.warning("tried again soon", extra={"reason": error.message})
        except Exception:
            log.exception("a defect in the job loop")

    # --- watching over ---------------------------------------------------------------------------------

    async def _supervise(self, attempt: Attempt) -> None:
        handle = attempt.handle or await self._recover(attempt)
        if handle is None:
            return
        observation = await self._launcher.observe(handle)
        if not observation.alive:
            await self._gone(attempt, *_ended(observation), exit_code=observation.exit_code)
            return
        if observation.queued and attempt.attached_at:
            return await self._preempted(attempt, handle, observation)
        async with self._db.read() as tx:
            job, time = await repository.get(tx, attempt.job), await now(tx)
            attempt = await repository.attempt(tx, job.name, attempt.attempt) or attempt  # it may have ended meanwhile
        if _is_news(job, attempt, observation, time):
            await self._tell(attempt, observation)
        since = time if observation.patient else self._since or time
        action = decide(job, attempt, time=time, since=since, timing=self._timing)
        if action is Action.STOP:
            await self._stop(attempt, handle)
        elif action is Action.FENCE:
            await self._fence(attempt)
        if action in {Action.KILL, Action.FENCE}:
            await self._launcher.kill(handle)
            self._changes.notify(attempt.job)

    async def _preempted(self, attempt: Attempt, handle: Handle, observation: Observation) -> None:
        """It ran, and is in its queue again: what runs next is another attempt, with a token of its own."""
        await self._launcher.kill(handle)
        await self._gone(attempt, Outcome.STOPPED, None)
        async with self._db.begin() as tx:
            job = await repository.locked(tx, attempt.job)
            if job.state is State.PENDING and job.attempt == attempt.attempt:
                reason = f"attempt {attempt.attempt} {observation.where}; the next one goes on from its checkpoint"
                await repository.move(tx, job, State.PENDING, reason, queue_state=QueueState.PREEMPTED)

    async def _tell(self, attempt: Attempt, observation: Observation) -> None:
        """Say on the job where its worker is or what it waits for; waiting for capacity takes no time."""
        async with self._db.begin() as tx:
            job = await repository.locked(tx, attempt.job)
            if observation.patient:
                await repository.mark(tx, attempt.job, attempt.attempt, heartbeat_at=await now(tx))
            if not _is_said(job, attempt, observation) and await repository.is_current(tx, job, attempt.attempt):
                old = {"progress": None} if observation.patient else {}  # of the attempt before; nothing goes on now
                await repository.move(
                    tx, job, State.RUNNING, _reason(attempt, observation), queue_state=_queue(job, observation), **old
                )
        self._changes.notify(attempt.job)

    async def _recover(self, attempt: Attempt) -> Handle | None:
        """The handle of a worker that was started just before the service died."""
        async with self._db.read() as tx:
            age = await now(tx) - attempt.launched_at
        if age < timedelta(seconds=self._timing.launching):
            return None
        handle = await self._launcher.find(attempt.job, attempt.attempt)
        if handle is None:
            # No failure of the job: there was no worker yet, or it waited for its welcome and is gone.
            await self._gone(attempt, Outcome.STOPPED, None)
            return None
        async with self._db.begin() as tx:
            await repository.mark(tx, attempt.job, attempt.attempt, handle=dict(handle))
        return handle

    async def _stop(self, attempt: Attempt, handle: Handle) -> None:
        async with self._db.begin() as tx:
            await repository.mark(tx, attempt.job, attempt.attempt, stop_at=await now(tx))
        await self._launcher.stop(handle)

    async def _fence(self, attempt: Attempt) -> None:
        """From here on nothing that this attempt reports is taken, whether or not killing it works."""
        async with self._db.begin() as tx:
            job = await repository.locked(tx, attempt.job)
            if await repository.is_current(tx, job, attempt.attempt):
                failure = silence(attempt, self._timing)
                await repository.end(tx, job, attempt.attempt, Outcome.LOST, failure=failure, retry=self._retry(job))
        self._streams.stop(attempt.job, attempt.attempt, "lost", superseded=True)

    async def _gone(
        self, attempt: Attempt, outcome: Outcome, failure: Failure | None, *, exit_code: int | None = None
    ) -> None:
        """Nothing of it runs any more: its workdir and its slot are free."""
        async with self._db.begin() as tx:
            job = await repository.locked(tx, attempt.job)
            if await repository.is_current(tx, job, attempt.attempt):
                await repository.end(tx, job, attempt.attempt, outcome, failure=failure, retry=self._retry(job))
            await repository.mark(tx, job.name, attempt.attempt, gone_at=await now(tx), exit_code=exit_code)
        self._changes.notify(attempt.job)

    def _retry(self, job: Job) -> RetryPolicy:
        command = self._commands.get(job.kind)
        return command.retry if command else RetryPolicy()

    # --- starting --------------------------------------------------------------------------------------

    async def _start_one(self) -> bool:
        """Start the job that waits longest, if there is a slot; whether it did."""
        token = secrets.token_urlsafe(32)
        async with self._db.begin() as tx:
            free = self._concurrency - len(await repository.alive(tx))
            job = await repository.claim(tx, token_hash=hash_token(token)) if free > 0 else None
        if job is None:
            return False
        await self._launch(job, token)
        self._changes.notify(job.name)
        return True

    async def _launch(self, job: Job, token: str) -> None:
        try:
            command = self._command(job)
            launch = Launch(
                job=job.name,
                attempt=job.attempt,
                assignment=self._locations.assignment(job, token, self._timing) | await self._grants(command, job),
                command=command,
                resources=await self._resources(command, job),
            )
            handle = await self._launcher.launch(launch)
        except LauncherUnavailable as error:  # what became of it, `_recover` finds out
            log.warning("not started yet", extra={"job": job.name, "reason": error.message})
            return
        except errors.PosologyError as error:
            log.warning("not started", extra={"job": job.name, "reason": error.message})
            return await self._unlaunched(job, Failure.of(error))
        except Exception as error:
            log.exception("a defect kept a worker from starting", extra={"job": job.name})
            message = f"the worker was not started because of a defect ({type(error).__name__}); the log has it"
            return await self._unlaunched(job, Failure("Internal", message))
        async with self._db.begin() as tx:
            await repository.mark(tx, job.name, job.attempt, handle=dict(handle))

    async def _grants(self, command: Command, job: Job) -> dict[str, Any]:
        """The model endpoints of this attempt as they are defined now; an error where one may not be used any more."""
        names = command.endpoints_of(job.spec) if command.endpoints_of else ()
        if not names:
            return {}
        registry = self._model_endpoints
        if registry is None:
            raise errors.FailedPrecondition("this service has no model endpoints")
        grants = {}
        for name in names:
            endpoint, _ = await asyncio.to_thread(registry.resolve, name, namespace_of(job.name), at="spec")
            async with self._db.read() as tx:
                usage = await model_usage.used(tx, name)
            if reason := endpoint.budget.used_up(usage):
                raise errors.FailedPrecondition(f"the budget of the model endpoint {name} is used up: {reason}")
            grants[name] = endpoint.grant() | {"others": asdict(usage)}
        return {"endpoints": grants}

    async def _resources(self, command: Command, job: Job) -> Resources:
        """The job's limits, with what it was planned to need; a plan that can't be made keeps nobody from starting."""
        resources = command.resources_for(job.spec)
        if command.expectation_of is None:
            return resources
        try:
            return replace(resources, expected=await command.expectation_of(job.spec))
        except errors.PosologyError as error:
            log.info("started without a plan", extra={"job": job.name, "reason": error.message})
            return resources

    def _command(self, job: Job) -> Command:
        command = self._commands.get(job.kind)
        if command is None:
            raise errors.FailedPrecondition(f"this version of the service does no {job.kind!r} jobs any more")
        return command

    async def _unlaunched(self, job: Job, failure: Failure) -> None:
        async with self._db.begin() as tx:
            locked = await repository.locked(tx, job.name)
            if await repository.is_current(tx, locked, job.attempt):
                await repository.end(tx, locked, job.attempt, Outcome.FAILED, failure=failure, retry=self._retry(job))
            await repository.mark(tx, job.name, job.attempt, gone_at=await now(tx))

    # --- the rest --------------------------------------------------------------------------------------

    async def _clean(self, name: str) -> None:
        await self._launcher.clean(name)
        async with self._db.read() as tx:
            job = await repository.get(tx, name)
        await asyncio.to_thread(self._locations.clean, job)
        async with self._db.begin() as tx:
            await repository.mark_cleaned(tx, name)
        spans.tell(job)

    async def _show(self) -> None:
        """Gauges, every few seconds."""
        clock = asyncio.get_running_loop().time()
        if clock - self._shown < _SHOW_SECONDS:
            return
        self._shown = clock
        async with self._db.read() as tx:
            counts, (waiting, age) = await repository.counts(tx), await repository.waiting(tx)
        telemetry.show_jobs(self._service, counts)
        telemetry.show_queue(self._service, "jobs", length=waiting, oldest_seconds=age.total_seconds())


def _ended(observation: Observation) -> tuple[Outcome, Failure | None]:
    """What the end of a worker means that had not reported one: first what its launcher knows of it."""
    if observation.failure is not None:
        return Outcome.CRASHED, observation.failure
    return (Outcome.STOPPED, None) if observation.stopped else ending(observation.exit_code)


def _is_news(job: Job, attempt: Attempt, observation: Observation, time: datetime) -> bool:
    """Whether there is something to write down about a worker that waits or runs."""
    waited = time - attempt.heartbeat_at > timedelta(seconds=_PATIENCE_SECONDS)
    return (observation.patient and attempt.outcome is None and waited) or not _is_said(job, attempt, observation)


def _is_said(job: Job, attempt: Attempt, observation: Observation) -> bool:
    if not observation.where or job.state is not State.RUNNING:
        return True
    return job.reason == _reason(attempt, observation) and job.queue_state is _queue(job, observation)


def _queue(job: Job, observation: Observation) -> QueueState | None:
    """Who was preempted, and waits again, is more than queued."""
    again = observation.queue is QueueState.QUEUED and job.queue_state is QueueState.PREEMPTED
    return QueueState.PREEMPTED if again else observation.queue


def _reason(attempt: Attempt, observation: Observation) -> str:
    return f"attempt {attempt.attempt} {observation.where}"
