"""From a product to an artifact: publish, tell whoever must know until they do, then succeed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from posology.core import errors
from posology.core.artifacts import ArtifactStore, File, Manifest, Staging
from posology.core.jobs import convert, spans
from posology.core.jobs.domain import (
    Command,
    Failure,
    Job,
    Origin,
    Outcome,
    Product,
    RetryPolicy,
    State,
    after,
    staging_prefix,
)
from posology.core.jobs.service import repository
from posology.core.notifications import Signals
from posology.core.retries import Backoff
from posology.core.rpc import context
from posology.core.store import Database, now

log = logging.getLogger("posology.jobs")

_BACKOFF = Backoff(first=0.5, longest=30.0)


@dataclass(frozen=True)
class Published:
    """An artifact that a job made; it is in the store, and the job is not SUCCEEDED yet."""

    job: Job
    digest: str
    manifest: Manifest


OnPublished = Callable[[Published], Awaitable[None]]
"""Called at least once for every artifact, again until it returns; must bear repetition."""


class Publisher:
    """Publishes each product once, in tasks of its own, because hashing gigabytes takes minutes."""

    def __init__(
        self,
        db: Database,
        artifacts: ArtifactStore,
        staging: Staging,
        commands: Mapping[str, Command],
        changes: Signals,
        *,
        producer: str,
        on_published: OnPublished | None,
    ) -> None:
        self._db = db
        self._artifacts = artifacts
        self._staging = staging
        self._commands = commands
        self._changes = changes
        self._producer = producer
        self._on_published = on_published
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tries: dict[str, int] = {}

    def begin(self, due: Iterable[Job]) -> None:
        """Start publishing what is due and not being published already."""
        for job in due:
            if job.name not in self._running:
                task = asyncio.ensure_future(self._guarded(job))
                self._running[job.name] = task
                task.add_done_callback(lambda _, name=job.name: self._running.pop(name))  # type: ignore[misc]

    async def close(self) -> None:
        """Let go; what was begun is done again after the next start."""
        for task in (running := list(self._running.values())):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _guarded(self, job: Job) -> None:
        context.run_id.set(job.run)
        spans.enter(job)
        try:
            await self.publish(job)
            self._tries.pop(job.name, None)
        except Exception as error:
            log.warning("not published yet", exc_info=error, extra={"job": job.name})
            await self._postpone(job, error)
        finally:
            self._changes.notify(job.name)

    async def publish(self, job: Job) -> None:
        """Publish and succeed; raises what may pass by itself."""
        assert job.product is not None  # PUBLISHING is entered with a product only
        try:
            digest = await asyncio.to_thread(self._publish, job, job.product)
        except (errors.DataCorrupt, errors.NotFound) as error:
            message = f"the files of attempt {job.attempt} are not what it reported: {error.message}"
            return await self._fail(job, Failure("Unavailable", message))
        except errors.PosologyError as error:
            if error.retryable:
                raise
            return await self._fail(job, Failure.of(error))
        await self._announce(job, digest)

    async def _announce(self, job: Job, digest: str) -> None:
        if self._on_published is not None:
            manifest = await asyncio.to_thread(self._artifacts.manifest, digest)
            try:
                await self._on_published(Published(job, digest, manifest))
            except errors.InvalidInput as error:
                return await self._fail(job, Failure.of(error))
        async with self._db.begin() as tx:
            locked = await repository.locked(tx, job.name)
            if _same(locked, job):  # else it was cancelled meanwhile
                await repository.move(tx, locked, State.SUCCEEDED, "done", artifact=digest, error=None)

    def _publish(self, job: Job, product: Product) -> str:
        origin = _origin(self._commands.get(job.kind), job, product)
        observed = {name: value for name, value in product.parameters.items() if name in origin.observed}
        return self._artifacts.publish_staged(
            self._staging,
            staging_prefix(job.name, job.attempt),
            [File(file.path, file.sha256, file.size) for file in product.files],
            kind=origin.kind,
            producer=self._producer,
            parents=origin.parents,
            parameters={**observed, **convert.struct_from_proto(convert.struct_to_proto(origin.parameters))},
        )

    async def _fail(self, job: Job, failure: Failure) -> None:
        command = self._commands.get(job.kind)
        retry = command.retry if command else RetryPolicy()
        async with self._db.begin() as tx:
            locked = await repository.locked(tx, job.name)
            if _same(locked, job):
                await repository.settle(tx, locked, after(locked, Outcome.FAILED, failure, retry=retry))

    async def _postpone(self, job: Job, error: Exception) -> None:
        tries = self._tries[job.name] = self._tries.get(job.name, 0) + 1
        pause = _BACKOFF.pause(tries + 1)
        message = error.message if isinstance(error, errors.PosologyError) else type(error).__name__
        reason = f"made, but not published yet: {message}; tried again until it works"
        async with self._db.begin() as tx:
            locked = await repository.locked(tx, job.name)
            if not _same(locked, job):
                return
            wake_at = await now(tx) + timedelta(seconds=pause)
            if locked.reason == reason:
                await repository.change(tx, locked, wake_at=wake_at)
            else:
                await repository.move(tx, locked, State.PUBLISHING, reason, wake_at=wake_at)


def _origin(command: Command | None, job: Job, product: Product) -> Origin:
    """What the job's spec makes; FailedPrecondition for a product that its worker says is something else."""
    if command is None or command.origin_of is None:
        raise errors.FailedPrecondition(f"nothing here says what {job.kind} jobs make, so nothing of them is published")
    origin = command.origin_of(job)
    if product.kind != origin.kind:
        raise errors.FailedPrecondition(
            f"the worker reported a {product.kind}, where this job makes a {origin.kind}; nothing is published"
        )
    if set(product.parents) != set(origin.parents):
        raise errors.FailedPrecondition(
            f"the worker reported as parents {_listed(product.parents)}, where this job was made from "
            f"{_listed(origin.parents)}; nothing is published"
        )
    return origin


def _listed(digests: Iterable[str]) -> str:
    return ", ".join(sorted(digests)) or "nothing"


def _same(locked: Job, job: Job) -> bool:
    return locked.state is State.PUBLISHING and locked.attempt == job.attempt
