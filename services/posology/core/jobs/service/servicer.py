"""The `Worker` service: one stream per attempt. Exempt it from bearer tokens: attempts carry their own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from posology.core.errors import InvalidInput, Unavailable
from posology.core.jobs.service.event_ingest import Answer, EventIngest
from posology.core.notifications import Signals
from posology.core.rpc import context
from posology.v1alpha1 import worker_pb2, worker_pb2_grpc

SERVICE_NAME = "posology.v1alpha1.Worker"
_LONGEST_HELLO = 16 * 1024
_MOST = 256
"""Events stored in one transaction; while one batch is written, the next one gathers."""

Commands: TypeAlias = "asyncio.Queue[worker_pb2.WorkerCommand | None]"


class Hellos:
    """Reads first events, of callers that nobody knows yet: a few at once, each for a few seconds.

    gRPC holds a message whole before anybody can look at it, so only as many are read at once as memory has room
    for; a worker that is turned away or runs late tries again by itself.
    """

    def __init__(self, *, at_once: int = 16, waiting: int = 64, seconds: float = 10.0) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._most = waiting
        self._seconds = seconds
        self._waiting = 0

    async def read(self, requests: AsyncIterator[worker_pb2.WorkerEvent]) -> worker_pb2.Hello:
        """The hello; InvalidInput when it is none or too long, Unavailable when too many wait or it is late."""
        if self._waiting >= self._most:
            raise Unavailable("too many streams wait for their hello; try again")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds), self._room:
                return await _hello(requests)
        except TimeoutError:
            raise Unavailable(f"no hello came within {self._seconds:g} s") from None
        finally:
            self._waiting -= 1


async def _hello(requests: AsyncIterator[worker_pb2.WorkerEvent]) -> worker_pb2.Hello:
    async for event in requests:
        if not event.HasField("hello"):
            break
        if event.ByteSize() > _LONGEST_HELLO:
            raise InvalidInput(f"a hello has at most {_LONGEST_HELLO} bytes, not {event.ByteSize()}")
        return event.hello
    raise InvalidInput("the first event of a worker's stream is its hello")


class Streams:
    """The attempts that are attached to this process, so that a cancellation reaches them at once."""

    def __init__(self) -> None:
        self._attached: dict[tuple[str, int], set[Commands]] = {}

    @contextmanager
    def attached(self, job: str, attempt: int, commands: Commands) -> Iterator[None]:
        self._attached.setdefault((job, attempt), set()).add(commands)
        try:
            yield
        finally:
            self._attached[job, attempt].discard(commands)
            if not self._attached[job, attempt]:
                del self._attached[job, attempt]

    def stop(self, job: str, attempt: int, reason: str, *, superseded: bool = False) -> None:
        """Tell the worker, if it is attached here."""
        for commands in self._attached.get((job, attempt), set()):
            commands.put_nowait(_stop(reason, superseded))


class WorkerServicer(worker_pb2_grpc.WorkerServicer):
    """Decode, store, answer."""

    def __init__(self, ingest: EventIngest, streams: Streams, changes: Signals) -> None:
        self._ingest = ingest
        self._streams = streams
        self._changes = changes
        self._hellos = Hellos()

    async def Attach(
        self, requests: AsyncIterator[worker_pb2.WorkerEvent], call: object
    ) -> AsyncIterator[worker_pb2.WorkerCommand]:
        hello = await self._hellos.read(requests)
        commands: Commands = asyncio.Queue()
        welcome = await self._ingest.admit(hello)
        for command in _commands(welcome):
            commands.put_nowait(command)
        with self._streams.attached(hello.job, hello.attempt, commands):
            serving = asyncio.ensure_future(self._serve(hello, requests, commands))
            try:
                async for command in context.until_shutdown(_queued(commands)):
                    yield command
                    if command.stop.superseded:
                        return
                if serving.done():
                    serving.result()
            finally:
                serving.cancel()
                await asyncio.wait({serving})

    async def _serve(
        self, hello: worker_pb2.Hello, requests: AsyncIterator[worker_pb2.WorkerEvent], commands: Commands
    ) -> None:
        """Store what arrives, batch by batch, and queue the answers; ends the queue at the end."""
        arrived: asyncio.Queue[worker_pb2.WorkerEvent | None] = asyncio.Queue(maxsize=4 * _MOST)
        reading = asyncio.ensure_future(_read(requests, arrived))
        order = ""
        try:
            while batch := await _batch(arrived):
                answer = await self._ingest.store(hello.job, hello.attempt, batch)
                if not all(event.HasField("heartbeat") for event in batch):
                    self._changes.notify(hello.job)
                for command in _commands(answer, order):
                    commands.put_nowait(command)
                order = answer.stop
            await reading
        finally:
            reading.cancel()
            commands.put_nowait(None)


async def _read(
    requests: AsyncIterator[worker_pb2.WorkerEvent], arrived: "asyncio.Queue[worker_pb2.WorkerEvent | None]"
) -> None:
    """Until the worker ends its side, or the stream breaks: then the error is raised after what had come."""
    try:
        async for event in requests:
            await arrived.put(event)
    except Exception:
        await arrived.put(None)
        raise
    await arrived.put(None)


async def _batch(
    arrived: "asyncio.Queue[worker_pb2.WorkerEvent | None]",
) -> list[worker_pb2.WorkerEvent]:
    """What has arrived, at least one event; empty at the end."""
    batch = []
    event = await arrived.get()
    while event is not None:
        batch.append(event)
        if arrived.empty() or len(batch) >= _MOST:
            return batch
        event = arrived.get_nowait()
    if batch:
        arrived.put_nowait(None)
    return batch


async def _queued(commands: Commands) -> AsyncIterator[worker_pb2.WorkerCommand]:
    while (command := await commands.get()) is not None:
        yield command


def _commands(answer: Answer, order: str = "") -> Iterator[worker_pb2.WorkerCommand]:
    """A wish to stop is sent once."""
    if not answer.superseded:
        yield worker_pb2.WorkerCommand(acknowledged=answer.acknowledged)
    for endpoint, usage in answer.others.items():
        yield worker_pb2.WorkerCommand(
            usage=worker_pb2.ModelUsage(
                endpoint=endpoint, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens
            )
        )
    if answer.stop and answer.stop != order:
        yield _stop(answer.stop, answer.superseded)


def _stop(reason: str, superseded: bool) -> worker_pb2.WorkerCommand:
    return worker_pb2.WorkerCommand(stop=worker_pb2.Stop(reason=reason, superseded=superseded))
