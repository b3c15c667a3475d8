"""A worker's stream to its service: events go up and stay buffered until acknowledged, commands come down.

The handler's thread never waits for the network: it appends to the buffer, and a thread of its own sends,
reconnects when the service restarts, and sends again what was not stored.
"""

import asyncio
import json
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from posology.core import errors
from posology.core.jobs import convert
from posology.core.jobs.domain import Failure, Product, Progress, StagedFile
from posology.core.jobs.exit_codes import SUPERSEDED
from posology.core.jobs.worker.assignment import Assignment
from posology.core.model_endpoints.domain import Usage
from posology.core.retries import Backoff
from posology.core.rpc.client import channel
from posology.core.rpc.tls import Files
from posology.v1alpha1 import job_pb2, worker_pb2, worker_pb2_grpc

log = logging.getLogger("posology.worker")

_LONGEST = 8192
"""Characters of a log line that are sent; the rest is in the worker's log file."""
_SUPERSEDED_SECONDS = 10.0
"""How long a handler may go on after another attempt took over, before this process is cut."""
_STOPPING_SECONDS = 3.0
"""How long a stopping worker tries to report to a service that is away."""
_REFUSALS = (errors.Unauthenticated, errors.PermissionDenied, errors.NotFound, errors.InvalidInput)


_BACKOFF = Backoff(first=0.05, longest=0.5)
"""Seconds between two tries to reach the service; a restarted one shall not wait for its workers."""


class Superseded(Exception):
    """The service accepts nothing more of this attempt."""


class Undelivered(Exception):
    """The service was away for longer than this worker may wait."""


class Link:
    """The stream of one attempt. Safe to call from any thread."""

    def __init__(self, assignment: Assignment, stopping: threading.Event) -> None:
        self.given = assignment
        self._stopping = stopping
        self._buffer: deque[worker_pb2.WorkerEvent] = deque()
        self._lock = threading.Lock()
        self._sequence = 0
        self._process = secrets.token_hex(8)
        self._acknowledged = -1  # below 0: the service has not welcomed this attempt yet
        self._changed = threading.Condition(self._lock)
        self._refused = ""
        self._listeners: dict[str, Callable[[Usage], None]] = {}
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    # --- for the handler -------------------------------------------------------------------------------

    def attach(self) -> None:
        """Wait until the service says that this attempt is the current one; Superseded if it is not."""
        self._thread.start()
        self._wait_for(0, self.given.patience)

    def progress(self, step: Progress) -> None:
        """Report progress; of unsent ones only the newest is kept."""
        self._send(worker_pb2.WorkerEvent(progress=convert.progress_to_proto(step)))

    def metric(self, step: int, values: Mapping[str, float]) -> None:
        self._send(worker_pb2.WorkerEvent(metric=job_pb2.Metric(step=step, values=values)))

    def usage(self, endpoint: str, usage: Usage) -> None:
        """Report what this attempt used of a model endpoint so far."""
        event = worker_pb2.ModelUsage(
            endpoint=endpoint, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens
        )
        self._send(worker_pb2.WorkerEvent(usage=event))

    def on_others_use(self, endpoint: str, listener: Callable[[Usage], None]) -> None:
        """Have `listener` told what everybody else used of a model endpoint, whenever the service says so."""
        self._listeners[endpoint] = listener

    def log(self, message: str, fields: Mapping[str, object]) -> None:
        readable = json.loads(json.dumps(fields, default=str), parse_constant=str)  # JSON has no NaN
        shown = convert.struct_to_proto(readable)
        self._send(worker_pb2.WorkerEvent(log=job_pb2.LogLine(message=message[:_LONGEST], fields=shown)))

    def result(
        self,
        kind: str,
        parents: Sequence[str],
        parameters: Mapping[str, Any],
        summary: Mapping[str, Any],
        files: tuple[StagedFile, ...],
    ) -> None:
        """Report the product and wait until it is stored."""
        product = Product(kind, tuple(parents), parameters, summary, files)
        self._last(worker_pb2.WorkerEvent(result=convert.product_to_proto(product)))

    def failure(self, failure: Failure, *, wait: float | None = None) -> None:
        """Report a failure and wait until it is stored, at most `wait` seconds."""
        self._last(worker_pb2.WorkerEvent(failure=convert.failure_to_proto(failure)), wait=wait)

    def stopped(self, step: int) -> None:
        """Report a checkpoint; a service that is away learns of it from the exit code."""
        self._last(worker_pb2.WorkerEvent(stopped=worker_pb2.Stopped(step=step)), wait=_STOPPING_SECONDS)

    def close(self) -> None:
        """End the stream."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    # --- the buffer ------------------------------------------------------------------------------------

    def _send(self, event: worker_pb2.WorkerEvent) -> int:
        with self._changed:
            newest = self._buffer[-1] if self._buffer else None
            self._sequence += 1
            event.sequence = self._sequence
            if newest is not None and newest.HasField("progress") and event.HasField("progress"):
                self._buffer.pop()
            self._buffer.append(event)
        self._wake()
        return event.sequence

    def _last(self, event: worker_pb2.WorkerEvent, *, wait: float | None = None) -> None:
        self._wait_for(self._send(event), self.given.patience if wait is None else wait)

    def _wait_for(self, sequence: int, patience: float) -> None:
        """Until everything up to `sequence` is stored; Undelivered after `patience` seconds, or sooner once
        the worker shall stop."""
        began = time.monotonic()
        with self._changed:
            while self._acknowledged < sequence:
                if self._refused:
                    raise Superseded(self._refused)
                allowed = min(patience, _STOPPING_SECONDS) if self._stopping.is_set() else patience
                if time.monotonic() - began > allowed:
                    raise Undelivered(f"the service was away for {allowed:.0f} s")
                self._changed.wait(0.2)

    def _wake(self) -> None:
        """Tell the sending thread that there is something new."""
        loop, news = self._loop, self._news
        if loop is not None and news is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(news.set)
            except RuntimeError:  # the loop closed in between: the link is down
                log.debug("the link is closed")

    # --- the thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._stay_connected())

    async def _stay_connected(self) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        failures, logged = 0, False
        while not self._closed and not self._refused:
            welcomed = asyncio.Event()
            try:
                await self._one_stream(welcomed)
            except _REFUSALS as error:
                self._refuse(error.message)
            except errors.PosologyError as error:
                if welcomed.is_set() or not logged:
                    log.info("the service is away; going on without", extra={"reason": error.message})
                logged = True
            except Exception as error:  # whatever broke the stream, the handler goes on
                log.warning("the stream broke", exc_info=error)
            failures = 1 if welcomed.is_set() else failures + 1
            if not self._closed and not self._refused:
                await asyncio.sleep(_BACKOFF.pause(failures))

    async def _one_stream(self, welcomed: asyncio.Event) -> None:
        """Say hello, send, obey, until the stream ends; `welcomed` once the service took this attempt."""
        assignment = self.given
        files = Files(assignment.ca_file, assignment.cert_file, assignment.key_file)
        async with channel(self._address(), service="job", files=files) as opened:
            call = worker_pb2_grpc.WorkerStub(opened).Attach(self._outgoing(welcomed))
            async for command in call:
                welcomed.set()
                self._obey(command)
                if self._closed or self._refused:
                    break

    def _address(self) -> str:
        """A service that restarted on another port says so in its file."""
        file = self.given.service_file
        if file is not None and file.is_file():
            return file.read_text().strip() or self.given.service
        return self.given.service

    async def _outgoing(self, welcomed: asyncio.Event) -> AsyncIterator[worker_pb2.WorkerEvent]:
        assert self._news is not None  # set before the first stream
        assignment = self.given
        hello = worker_pb2.Hello(
            job=assignment.job, attempt=assignment.attempt, token=assignment.token, pid=os.getpid()
        )
        hello.process = self._process
        yield worker_pb2.WorkerEvent(hello=hello)
        await welcomed.wait()  # the acknowledgement says what is stored already
        sent = 0
        while not self._closed:
            self._news.clear()
            for event in self._after(sent):
                yield event
                sent = event.sequence
            try:
                await asyncio.wait_for(self._news.wait(), assignment.heartbeat)
            except TimeoutError:
                yield worker_pb2.WorkerEvent(heartbeat=worker_pb2.Heartbeat())

    def _after(self, sequence: int) -> list[worker_pb2.WorkerEvent]:
        with self._lock:
            return [event for event in self._buffer if event.sequence > sequence]

    def _obey(self, command: worker_pb2.WorkerCommand) -> None:
        if command.HasField("acknowledged"):
            self._forget(command.acknowledged)
        elif command.HasField("usage"):
            if listener := self._listeners.get(command.usage.endpoint):
                listener(Usage(command.usage.prompt_tokens, command.usage.completion_tokens))
        elif command.stop.superseded:
            self._refuse(command.stop.reason)
        elif not self._stopping.is_set():
            log.info("told to stop", extra={"reason": command.stop.reason})
            self._stopping.set()

    def _forget(self, sequence: int) -> None:
        """Drop what is stored."""
        with self._changed:
            self._acknowledged = max(self._acknowledged, sequence)
            while self._buffer and self._buffer[0].sequence <= self._acknowledged:
                self._buffer.popleft()
            self._changed.notify_all()

    def _refuse(self, reason: str) -> None:
        """This attempt is over: stop the handler, and cut the process if it does not listen."""
        with self._changed:
            self._refused = reason or "another attempt took over"
            self._changed.notify_all()
        log.warning("nothing of this attempt is accepted any more", extra={"reason": self._refused})
        self._stopping.set()
        cut = threading.Timer(_SUPERSEDED_SECONDS, os._exit, (SUPERSEDED,))
        cut.daemon = True
        cut.start()
