"""Channels to other services: spread over replicas, retried, authenticated, with the errors of core.errors.

Calls go straight to grpc.aio; wrapping the channel instead of adding interceptors saves a task per call.
"""

import json
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Any, Self

import grpc
import grpc.aio

from posology.core import tracing
from posology.core.rpc import context, tls
from posology.core.rpc.auth import AUTHORIZATION, read_token
from posology.core.rpc.connections import Connections
from posology.core.rpc.impersonation import headers
from posology.core.rpc.status import from_rpc_error
from posology.core.rpc.tls_diagnostics import explanation
from posology.core.settings import ServiceSettings

CALL_SECONDS = 30.0
"""Deadline of a unary call that names none; streams have none."""
LARGEST_MESSAGE = 32 * 1024 * 1024

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_metadata_size", 128 * 1024),  # a status with many violations travels as metadata
    ("grpc.absolute_max_metadata_size", 128 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 200),  # the default second delays the first call after a restart
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.keepalive_time_ms", 60_000),  # notices a peer whose machine vanished under a watch stream
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.enable_http_proxy", 0),  # services talk to each other, never through the proxy to the internet
)


def channel(
    address: str,
    *,
    token: "str | Callable[[], str] | None" = None,
    service: str = "",
    door: str = "",
    timeout: float = CALL_SECONDS,
    files: tls.Files = tls.PLAIN,
    options: Sequence[tuple[str, Any]] = (),
) -> "Channel":
    """A channel for generated stubs; a failed call raises the `core.errors` class that the server raised.

    `token` may be asked anew for each call, by whoever calls for more than one user; `""` sends none.
    `service` is its short name, for the message when nothing answers; `door` the name of the service that calls, if it
    is one: it then says for whom it does. `timeout` is the default deadline of unary calls in seconds; with `files` it
    speaks TLS, and goes on with renewed ones. Close it, or use it with `async with`.
    """
    connections = Connections(address, files, [*_OPTIONS, *options])
    return Channel(connections, token=token, service=service, door=door, address=address, timeout=timeout)


def connect(settings: ServiceSettings, service: str, *, timeout: float = CALL_SECONDS) -> "Channel":
    """The channel of this process to another service: address, token and TLS come from the settings."""
    return channel(
        getattr(settings, f"{service}_address"),
        token=read_token(settings.token_file),
        service=service,
        door=settings.service,
        timeout=timeout,
        files=tls.Files.of(settings),
    )


Make = Callable[[grpc.aio.Channel], Callable[..., Any]]
"""One method of a stub, on some channel."""


class Channel(grpc.aio.Channel):
    """A grpc.aio channel that adds metadata and deadline to each call and translates its errors."""

    def __init__(
        self,
        connections: Connections,
        *,
        token: str | Callable[[], str] | None,
        service: str,
        door: str,
        address: str,
        timeout: float,
    ) -> None:
        self._connections = connections
        self._token = token if callable(token) else None
        self._metadata = grpc.aio.Metadata() if callable(token) else _authorization(token)
        self._service = service
        self._door = door
        self._address = address
        self._timeout = timeout

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As grpc.aio.Channel; the default deadline applies."""
        name = method.removeprefix("/")
        traced = name if tracing.is_told(name) else ""
        return self._call(lambda plain: plain.unary_unary(method, *args, **kwargs), self._timeout, _UnaryCall, traced)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As grpc.aio.Channel; no deadline unless the caller sets one."""
        return self._call(lambda plain: plain.unary_stream(method, *args, **kwargs), None, _StreamCall)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As grpc.aio.Channel; no deadline unless the caller sets one."""
        return self._call(lambda plain: plain.stream_unary(method, *args, **kwargs), None, _UnaryCall)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As grpc.aio.Channel; no deadline unless the caller sets one."""
        return self._call(lambda plain: plain.stream_stream(method, *args, **kwargs), None, _StreamCall)

    def _call(self, make: Make, default: float | None, kind: "type[_Call]", traced: str = "") -> Callable[..., Any]:
        """`traced` names a method whose calls are spans."""
        made_for, invoke = None, None

        def call(
            request: Any = None,
            *,
            timeout: float | None = None,
            metadata: Sequence[tuple[str, str | bytes]] | None = None,
            **options: Any,
        ) -> Any:
            nonlocal made_for, invoke
            plain = self._connections.now()
            if invoke is None or plain is not made_for:
                made_for, invoke = plain, make(plain)
            span = tracing.Call.made(traced) if traced and tracing.on() else None
            sent = invoke(
                request,
                timeout=default if timeout is None else timeout,
                metadata=self._outgoing(metadata, span.place if span else context.place()),
                **options,
            )
            return _TracedCall(sent, self._translate, span) if span else kind(sent, self._translate)

        return call

    def _outgoing(self, extra: Sequence[tuple[str, str | bytes]] | None, place: context.Place) -> grpc.aio.Metadata:
        """Token, trace, run and the caller's own; outside a trace the server starts one."""
        trace, run = place.trace, context.run_id.get()
        known = self._metadata if self._token is None else _authorization(self._token())
        if not (trace or run or extra or self._door):
            return known
        added = [*known, *headers(self._door), *(extra or ())]
        if trace:
            added.append((context.TRACE_HEADER, place.header()))
        if run:
            added.append((context.RUN_HEADER, run))
        return grpc.aio.Metadata(*added)

    def _translate(self, error: grpc.aio.AioRpcError) -> Exception:
        return from_rpc_error(error, service=self._service, address=self._address, why=self._why)

    def _why(self, details: str) -> str:
        return explanation(details, self._connections.files, self._service)

    async def close(self, grace: float | None = None) -> None:
        """Close; running calls get `grace` seconds to finish."""
        await self._connections.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """As grpc.aio.Channel."""
        return self._connections.now().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """As grpc.aio.Channel."""
        await self._connections.now().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel is connected."""
        await self._connections.now().channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _authorization(token: str | None) -> grpc.aio.Metadata:
    return grpc.aio.Metadata(*([(AUTHORIZATION, f"Bearer {token}")] if token else []))


class _Call:
    """A call that raises core.errors; everything else (cancel, code, metadata) is grpc.aio's."""

    __slots__ = ("_sent", "_translate")

    def __init__(self, sent: Any, translate: Callable[[grpc.aio.AioRpcError], Exception]) -> None:
        self._sent = sent
        self._translate = translate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sent, name)


class _UnaryCall(_Call):
    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            return (yield from self._sent.__await__())
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from error


class _TracedCall(_Call):
    """A unary call that is a span."""

    __slots__ = ("_span",)

    def __init__(self, sent: Any, translate: Callable[[grpc.aio.AioRpcError], Exception], span: tracing.Call) -> None:
        super().__init__(sent, translate)
        self._span = span

    def __await__(self) -> Generator[Any, None, Any]:
        code = "CANCELLED"
        try:
            response = yield from self._sent.__await__()
            code = "OK"
            return response
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise self._translate(error) from error
        finally:
            self._span.end(code)


class _StreamCall(_Call):
    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for message in self._sent:
                yield message
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from error

    async def read(self) -> Any:
        """The next message, or grpc.aio.EOF."""
        try:
            return await self._sent.read()
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from error

    async def write(self, message: Any) -> None:
        """Send one message of a request stream."""
        try:
            await self._sent.write(message)
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from error
