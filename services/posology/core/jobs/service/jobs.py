"""What a service holds: create, get, list, watch and cancel jobs, and run them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import grpc.aio
from sqlalchemy import select

from posology.core import audit
from posology.core.artifacts import ArtifactStore
from posology.core.errors import InvalidInput, Violation
from posology.core.jobs.domain import Command, Event, Job, NewJob, State, sequence_of
from posology.core.jobs.launchers.base import JobLauncher
from posology.core.jobs.service import model_usage, repository, tables
from posology.core.jobs.service.event_ingest import EventIngest
from posology.core.jobs.service.locations import AttemptLocations
from posology.core.jobs.service.publisher import OnPublished, Published, Publisher
from posology.core.jobs.service.reconciler import Reconciler
from posology.core.jobs.service.rows import job_from_row
from posology.core.jobs.service.servicer import SERVICE_NAME, Streams, WorkerServicer
from posology.core.jobs.service.supervision import Timing
from posology.core.model_endpoints.document import Registry
from posology.core.model_endpoints.domain import Usage
from posology.core.notifications import Signal, Signals
from posology.core.rpc import context
from posology.core.store import Database, Transaction, pages
from posology.v1alpha1 import worker_pb2_grpc

__all__ = ["SERVICE_NAME", "JobPage", "Jobs", "Published", "Timing"]

_POLL_SECONDS = 1.0
"""How late a watcher hears of a change that another replica made."""


@dataclass(frozen=True)
class JobPage:
    """Some jobs, newest first, and the token of the rest."""

    jobs: tuple[Job, ...]
    next_token: str


class Jobs:
    """The jobs of one service. Its `app.py` wires them into the server:

    Server(..., add=lambda server: (..., jobs.add_to(server)), service_names=(..., SERVICE_NAME),
           exempt=(SERVICE_NAME,), on_ready=(jobs.ready,), background=(jobs.run,), on_drain=(jobs.drain,))

    `artifacts` is where products are published, `staging_url` where attempts leave them before; `stores`
    are the URLs that workers read inputs from, by default that of `artifacts`. `on_published` must succeed
    before a job does. `concurrency` workers run at the same time. A deliberate end of the service stops
    its workers, which checkpoint and go on at the next start; with `keep_workers` they stay (a crash of
    the service never ends a worker). `tls` names the files that workers call with; `model_endpoints` are those that
    jobs may use (`Command.endpoints_of`).
    """

    def __init__(
        self,
        db: Database,
        artifacts: ArtifactStore,
        launcher: JobLauncher,
        *,
        service: str,
        commands: Mapping[str, Command],
        staging_url: str,
        stores: Sequence[str] = (),
        on_published: OnPublished | None = None,
        concurrency: int = 1,
        timing: Timing | None = None,
        service_file: Path | None = None,
        keep_workers: bool = False,
        tls: Mapping[str, Path] | None = None,
        model_endpoints: Registry | None = None,
    ) -> None:
        self._db = db
        self._commands = commands
        self._keep_workers = keep_workers
        self._changes = Signals()
        self._streams = Streams()
        self._locations = AttemptLocations(staging_url, tuple(stores) or (artifacts.url,), service_file, tls or {})
        self._ingest = EventIngest(db, commands)
        publisher = Publisher(
            db,
            artifacts,
            self._locations.staging,
            commands,
            self._changes,
            producer=f"posology-{service}/{version('posology')}",
            on_published=on_published,
        )
        self._reconciler = Reconciler(
            db,
            launcher,
            publisher,
            commands,
            self._locations,
            self._streams,
            self._changes,
            service=service,
            concurrency=concurrency,
            timing=timing or Timing(),
            model_endpoints=model_endpoints,
        )

    # --- for servicers ---------------------------------------------------------------------------------

    async def create(self, new: NewJob, *, tx: Transaction | None = None) -> Job:
        """Create a job, or give back the first one of this request id, or of this name and spec.

        With `tx` it becomes part of that transaction. AlreadyExists: the name or the request id was used
        for another spec.
        """
        if new.kind not in self._commands:
            raise InvalidInput.of([Violation("kind", f"{new.kind!r} is none of {', '.join(sorted(self._commands))}")])
        async with self._writing(tx) as open_tx:
            job = await repository.create(open_tx, new)
        self._changes.notify(job.name)
        return job

    async def endpoint_usage(self, endpoint: str) -> Usage:
        """What all attempts of this service used of a model endpoint."""
        async with self._db.read() as tx:
            return await model_usage.used(tx, endpoint)

    async def get(self, name: str, *, tx: Transaction | None = None) -> Job:
        """The job; NotFound."""
        async with self._reading(tx) as open_tx:
            return await repository.get(open_tx, name)

    async def list(
        self,
        namespace: str,
        *,
        kinds: Sequence[str] = (),
        states: Sequence[State] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> JobPage:
        """Jobs of a namespace, newest first, of these kinds and states (empty: all)."""
        c = tables.jobs.c
        query = select(tables.jobs).where(c.namespace == namespace)
        query = query.where(c.kind.in_(kinds)) if kinds else query
        query = query.where(c.state.in_(states)) if states else query
        scope = f"jobs/{namespace}/{','.join(kinds)}/{','.join(states)}"
        async with self._db.read() as tx:
            page = await pages.fetch(
                tx, query, order=(c.created_at, c.name), size=page_size, token=page_token, scope=scope, descending=True
            )
        return JobPage(tuple(job_from_row(row) for row in page.rows), page.next_token)

    async def cancel(self, name: str, *, tx: Transaction | None = None) -> Job:
        """Stop a job; one that is over stays as it is. A running worker gets time to end first."""
        async with self._writing(tx) as open_tx:
            job = await repository.locked(open_tx, name)
            if not (job.state.final or job.state is State.CANCELLING):
                job = await self._cancel(open_tx, job)
        self._streams.stop(name, job.attempt, "cancelled on request")
        self._changes.notify(name)
        return job

    async def _cancel(self, tx: Transaction, job: Job) -> Job:
        state = State.CANCELLING if job.state is State.RUNNING else State.CANCELLED
        job = await repository.move(tx, job, state, "cancelled on request")
        await audit.append(
            tx, actor=context.caller.get().subject, action="job.cancel", subject=job.name, detail={"state": state}
        )
        return job

    async def watch(self, name: str, resume_token: str = "") -> AsyncIterator[Event]:
        """Events after `resume_token`, old ones first, then as they come; ends after the last event of a
        job that is over, or when the server drains (watch again with the last token)."""
        after = sequence_of(resume_token)
        changed = self._changes.of(name)
        while True:
            since = changed.count
            job, events = await self._look(name, after)
            for event in events:
                yield event
                after = event.sequence
            if events:
                continue
            if job.state.final or await _drained(changed, since):
                return

    async def metrics(self, name: str, value: str) -> Sequence[Event]:
        """What a job measured so far, of the lines that hold `value`; of a step that was done twice the last."""
        async with self._db.read() as tx:
            events = await repository.metrics(tx, name)
        by_step = {event.data["step"]: event for event in events if value in event.data["values"]}
        return [by_step[step] for step in sorted(by_step)]

    async def _look(self, name: str, after: int) -> tuple[Job, Sequence[Event]]:
        async with self._db.read() as tx:
            return await repository.get(tx, name), await repository.events_after(tx, name, after)

    # --- for app.py ------------------------------------------------------------------------------------

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the Worker service."""
        servicer = WorkerServicer(self._ingest, self._streams, self._changes)
        worker_pb2_grpc.add_WorkerServicer_to_server(servicer, server)

    async def ready(self, address: str) -> None:
        """Workers reach this service at `address` now."""
        self._locations.announce(address)

    async def run(self) -> None:
        """The reconcile loop; never returns."""
        await self._reconciler.run()

    async def drain(self) -> None:
        """The service ends on purpose."""
        self._reconciler.drain()
        if not self._keep_workers:
            await self._reconciler.stop_workers()

    # --- details ---------------------------------------------------------------------------------------

    def _writing(self, tx: Transaction | None) -> AbstractAsyncContextManager[Transaction]:
        return self._db.begin() if tx is None else nullcontext(tx)

    def _reading(self, tx: Transaction | None) -> AbstractAsyncContextManager[Transaction]:
        return self._db.read() if tx is None else nullcontext(tx)


async def _drained(changed: Signal, since: int) -> bool:
    """Wait for a change, a moment, or the server's drain; whether it was the drain."""
    change = changed.wait(since, within=_POLL_SECONDS)
    waits = {asyncio.ensure_future(change), asyncio.ensure_future(context.shutdown().wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in waits:
            waiting.cancel()
    return context.draining()
