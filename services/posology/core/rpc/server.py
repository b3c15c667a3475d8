"""The one server runner: health, reflection, metrics, JSON logs, signals, graceful drain."""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from posology.core import telemetry, tracing
from posology.core.audit import servicer as audit
from posology.core.errors import FailedPrecondition, PosologyError
from posology.core.files import write_atomically
from posology.core.rpc import access, certificate_metrics, context, tls
from posology.core.rpc.authentication import Callers, open_callers
from posology.core.rpc.client import LARGEST_MESSAGE
from posology.core.rpc.digests import Listings
from posology.core.rpc.interceptor import Interceptor
from posology.core.rpc.rights import Table
from posology.core.settings import ServiceSettings, misspelt, split_address
from posology.core.store import Database
from posology.v1alpha1 import access_pb2_grpc, audit_pb2_grpc

log = logging.getLogger("posology.server")

Step = Callable[[], Awaitable[None]]

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.so_reuseport", 0),  # a second process on the port is an error, not a coin toss
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),  # our clients ping every 60 s
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
_OPEN = (health.SERVICE_NAME, reflection.SERVICE_NAME)
"""Need no bearer token: probes have none, and the contract is public."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What a service gives to the runner."""

    name: str
    settings: ServiceSettings
    add: Callable[[grpc.aio.Server], None]
    """Registers the servicers."""
    service_names: tuple[str, ...]
    """Full proto names of what `add` registers, for health and reflection."""
    background: tuple[Step, ...] = ()
    """Loops; cancelled after the last call ended. One that raises stops the process, for a fresh start."""
    on_ready: tuple[Callable[[str], Awaitable[None]], ...] = ()
    """Awaited with the address before loops start and health says SERVING."""
    on_drain: tuple[Step, ...] = ()
    """Awaited in order when the drain starts, before running calls get their grace."""
    exempt: tuple[str, ...] = ()
    """Full service names, or `service/Method`, that carry no bearer token (they check their own)."""
    rights: Table = field(default_factory=dict)
    """What users need for each call; what is not in it is for services only."""
    chains: Mapping[str, Database] = field(default_factory=dict)
    """Databases that hold an audit chain, by whose it is; they are served with the rest."""
    listings: Listings | None = None
    """Which artifacts a namespace has; with it, requests that make something may name no others."""
    callers: Callers | None = None
    """By default as `settings.authentication` says."""


@dataclass
class Running:
    """A started server."""

    server: Server
    address: str
    """Where others reach it: `settings.advertise`, or host:port as bound."""
    metrics: str
    """host:port of `/metrics`, empty if off."""
    shutdown: asyncio.Event
    ready: threading.Event
    """Set while health says SERVING; `/ready` tells it."""
    _grpc: grpc.aio.Server
    _health: health.aio.HealthServicer
    _loops: list[asyncio.Task[None]] = field(default_factory=list)

    async def failed(self) -> None:
        """Raise the error of the first background loop that fails; without one, wait for ever."""
        await asyncio.gather(*self._loops)
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Turn health off, let streams and calls end within the grace, then stop the loops."""
        self.ready.clear()
        await self._health.enter_graceful_shutdown()
        self.shutdown.set()
        for step in self.server.on_drain:
            await self._finish(step)
        await self.stop(self.server.settings.drain_seconds)

    async def stop(self, grace: float | None) -> None:
        """Refuse new calls, give running ones `grace` seconds, then stop the loops."""
        await self._grpc.stop(grace)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _finish(self, step: Step) -> None:
        """One step of the drain; it may fail or take too long, the process ends all the same."""
        try:
            async with asyncio.timeout(self.server.settings.drain_seconds):
                await step()
        except Exception:
            log.exception("a step of the drain failed")


async def start(server: Server, stack: AsyncExitStack) -> Running:
    """Bind, register, serve; what must be closed at the end goes on `stack`."""
    shutdown = asyncio.Event()
    settings = server.settings
    callers = server.callers or await open_callers(settings, stack)
    rights = {**server.rights, **audit.RIGHTS, **access.RIGHTS}
    grpc_server = grpc.aio.server(
        interceptors=[
            Interceptor(
                callers,
                rights=rights,
                exempt=(*_OPEN, *server.exempt),
                call_seconds=settings.call_seconds,
                listings=server.listings,
            )
        ],
        options=[*_OPTIONS, *_connection_age(settings)],
    )
    checks = health.aio.HealthServicer()
    await checks.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, grpc_server)
    audited = (audit.NAME,) if server.chains else ()
    reflection.enable_server_reflection((*server.service_names, *audited, access.NAME, *_OPEN), grpc_server)
    server.add(grpc_server)
    access_pb2_grpc.add_AccessServicer_to_server(access.AccessServicer(rights, callers.authorizer), grpc_server)
    if server.chains:
        audit_pb2_grpc.add_AuditServicer_to_server(audit.AuditServicer(server.chains), grpc_server)
    address = _bind(grpc_server, settings)
    host, _ = split_address(settings.listen)
    certificate_metrics.show(settings.tls_cert_file)
    ready = threading.Event()
    metrics = stack.enter_context(telemetry.metrics_over_http(host, settings.metrics_port, ready.is_set))
    # Handlers run in copies of the context in which the server starts: an empty one, with its shutdown event.
    await asyncio.create_task(grpc_server.start(), context=context.of_server(shutdown))
    stack.push_async_callback(grpc_server.stop, None)
    running = Running(server, settings.advertise or address, metrics, shutdown, ready, grpc_server, checks)
    await _become_ready(running)
    return running


async def _become_ready(running: Running) -> None:
    for step in running.server.on_ready:
        await step(running.address)
    for loop in running.server.background:
        running._loops.append(asyncio.ensure_future(loop()))
    for name in ("", *running.server.service_names):
        await running._health.set(name, health_pb2.HealthCheckResponse.SERVING)
    running.ready.set()
    if running.server.settings.ready_file:
        _announce(running, running.server.settings.ready_file)
    log.info("serving", extra={"address": running.address, "metrics": running.metrics})


def _announce(running: Running, path: Path) -> None:
    """Write the ready file whole or not at all."""
    endpoint = {
        "service": running.server.name,
        "address": running.address,
        "metrics": running.metrics,
        "pid": os.getpid(),
    }
    write_atomically(path, json.dumps(endpoint))


def _bind(grpc_server: grpc.aio.Server, settings: ServiceSettings) -> str:
    host, port = split_address(settings.listen)
    credentials = tls.server_credentials(settings)
    try:
        bound = (
            grpc_server.add_secure_port(settings.listen, credentials)
            if credentials
            else grpc_server.add_insecure_port(settings.listen)
        )
    except RuntimeError:
        raise FailedPrecondition(
            f"POSOLOGY_LISTEN: can't listen on {settings.listen}; is another process there?"
        ) from None
    reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else settings.listen.rpartition(":")[0]
    return f"{reachable}:{bound or port}"


def _connection_age(settings: ServiceSettings) -> tuple[tuple[str, int], ...]:
    if not settings.connection_age_seconds:
        return ()
    return (
        ("grpc.max_connection_age_ms", int(settings.connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", int(settings.drain_seconds * 1000)),
    )


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[str]:
    """Serve inside an `async with`, drain at its end: `run` without signals and log set-up, for tests."""
    async with AsyncExitStack() as stack:
        running = await start(server, stack)
        watching = asyncio.ensure_future(running.failed())
        try:
            yield running.address
        finally:
            await running.drain()
            if watching.done() and not watching.cancelled():  # loops that the drain ended are no failure
                watching.result()
            watching.cancel()


async def run(server: Server) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal cuts the grace. Raises if a loop failed."""
    telemetry.log_as_json(server.name, level=server.settings.log_level)
    tracing.configure(server.name)
    for variable, meant in misspelt(server.settings):
        log.warning("a variable is set that means nothing", extra={"variable": variable, "meant": meant})
    signals = _signals()
    async with AsyncExitStack() as stack:
        running = await start(server, stack)
        gc.freeze()  # what was imported stays; collections need not walk it under every few hundred calls
        stopped = asyncio.ensure_future(signals.get())
        failed = asyncio.ensure_future(running.failed())
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        log.info("draining", extra={"grace_seconds": server.settings.drain_seconds})
        await _drain_unless_hurried(running, signals)
        log.info("stopped")
        await asyncio.to_thread(tracing.close)
        if failed.done() and not failed.cancelled():  # loops that the drain ended are no failure
            failed.result()
        failed.cancel()
        stopped.cancel()


async def _drain_unless_hurried(running: Running, signals: "asyncio.Queue[int]") -> None:
    draining = asyncio.ensure_future(running.drain())
    again = asyncio.ensure_future(signals.get())
    await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not draining.done():
        draining.cancel()
        await running.stop(None)
    await asyncio.wait({draining})


def _signals() -> "asyncio.Queue[int]":
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


def launch(serve: Callable[[], Coroutine[Any, Any, None]]) -> NoReturn:
    """`main()` of every service: run, and end with one line and exit code 2 when the environment is wrong."""
    try:
        uvloop.run(serve())
    except PosologyError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    sys.exit(0)
