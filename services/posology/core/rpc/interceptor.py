"""The one server interceptor: authenticate, validate, run, translate errors, measure, log.

grpc.aio calls `intercept_service` in the task and context that the handler will run in, so what is bound
here (caller, run, trace, shutdown) is what the handler sees.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from grpc_status import rpc_status

from posology.core import errors, schema
from posology.core.errors import PosologyError
from posology.core.rpc import context
from posology.core.rpc.auth import Authenticator
from posology.core.rpc.method import Method, code_of
from posology.core.rpc.status import from_rpc_error, to_status

Call: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Run = Callable[[Any, "Call"], Awaitable[Any]]


class Interceptor(grpc.aio.ServerInterceptor):
    """See the module. `exempt` holds full service names, or service/Method, that need no token."""

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        exempt: Collection[str],
        shutdown: asyncio.Event,
        call_seconds: float,
    ) -> None:
        self._authenticator = authenticator
        self._exempt = frozenset(exempt)
        self._shutdown = shutdown
        self._call_seconds = call_seconds
        self._served: dict[str, _Served] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler, or one that refuses before the request is read; None for an unknown method."""
        served = self._served.get(handler_call_details.method)
        if served is None:
            plain = await continuation(handler_call_details)
            if plain is None:
                return None
            served = self._serve(handler_call_details.method, plain)
        metadata = dict(handler_call_details.invocation_metadata)
        context.bind(metadata, shutdown=self._shutdown)
        if served.exempt:
            return served.handler
        try:
            context.caller.set(await self._authenticator.authenticate(metadata))
        except Exception as error:  # noqa: BLE001 - answered as a status, logged if it is a defect
            return served.refusal(error)
        return served.handler

    def _serve(self, path: str, plain: Handler) -> "_Served":
        name = path.removeprefix("/")
        exempt = name in self._exempt or name.partition("/")[0] in self._exempt
        served = self._served[path] = _Served(Method(name), plain, exempt=exempt, call_seconds=self._call_seconds)
        return served


class _Served:
    """One method of this server, wrapped once."""

    def __init__(self, method: Method, plain: Handler, *, exempt: bool, call_seconds: float) -> None:
        self.exempt = exempt
        self._method = method
        self._call_seconds = call_seconds
        self.handler = self._wrap(plain)

    def _wrap(self, plain: Handler) -> Handler:
        """The same method, guarded. A response stream becomes a coroutine that writes."""
        incoming = _validated if plain.request_streaming else _valid
        shape = (
            "stream" if plain.request_streaming else "unary",
            "stream" if plain.response_streaming else "unary",
        )
        handle: Any = getattr(plain, "_".join(shape))
        if inspect.isasyncgenfunction(handle):
            run = _writing(handle)
        elif inspect.iscoroutinefunction(handle):
            run = handle
        else:
            raise TypeError(f"{self._method.name} must be `async def`: a sync handler blocks every other call")
        bounded = run if plain.response_streaming or plain.request_streaming else self._bounded(run)
        make: Any = getattr(grpc, "_".join((*shape, "rpc_method_handler")))
        wrapped: Handler = make(self._guarded(incoming, bounded), plain.request_deserializer, plain.response_serializer)
        return wrapped

    def _guarded(self, incoming: Callable[[Any], Any], run: Run) -> Run:
        method = self._method

        async def guarded(request: Any, call: Call) -> Any:
            begun = method.begin()
            try:
                response = await run(incoming(request), call)
            except BaseException as error:  # noqa: BLE001 - every path below ends the call and raises
                await self._fail(error, call, begun)
            method.end(begun, code_of(call))
            return response

        return guarded

    def _bounded(self, run: Run) -> Run:
        """A caller's deadline cancels the task by itself; a call without one gets ours."""
        limit = self._call_seconds

        async def bounded(request: Any, call: Call) -> Any:
            if call.time_remaining() is not None:
                return await run(request, call)
            async with asyncio.timeout(limit) as clock:
                try:
                    return await run(request, call)
                except asyncio.CancelledError:
                    if clock.expired():
                        raise errors.Timeout(f"not done after {limit:g} s; set a longer deadline") from None
                    raise

        return bounded

    def refusal(self, error: Exception) -> Handler:
        """A handler that answers `error` without reading the request."""

        async def refuse(_: Any, call: Call) -> None:
            await self._fail(error, call, self._method.begin())

        return grpc.stream_stream_rpc_method_handler(refuse)

    async def _fail(self, error: BaseException, call: Call, begun: float) -> NoReturn:
        """End the call with the status that `error` stands for; raises always."""
        if isinstance(error, grpc.aio.AbortError):
            self._method.end(begun, code_of(call), message=str(call.details() or ""))
            raise error
        if not isinstance(error, Exception):
            late = call.time_remaining() is not None and call.time_remaining() <= 0
            self._method.end(begun, "DEADLINE_EXCEEDED" if late else "CANCELLED")
            raise error
        known = _known(error)
        defect = error if isinstance(known, errors.Internal) else None
        self._method.end(begun, known.grpc_status.name, message=known.message, defect=defect)
        await call.abort_with_status(rpc_status.to_status(to_status(known, trace_id=context.trace_id.get())))


def _known(error: Exception) -> PosologyError:
    """The error that a caller may see: a defect of ours shows only its trace id."""
    if isinstance(error, PosologyError):
        return error
    if isinstance(error, grpc.RpcError):
        return from_rpc_error(error)
    return errors.Internal(f"internal error; the log has it under trace id {context.trace_id.get()}")


def _valid(request: Any) -> Any:
    schema.validate(request)
    return request


async def _validated(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        schema.validate(request)
        yield request


def _writing(handle: Callable[[Any, Call], Any]) -> Run:
    """An async generator as a coroutine: its `finally` runs when the call ends, not at some collection."""

    async def write(request: Any, call: Call) -> None:
        async with aclosing(handle(request, call)) as responses:
            async for response in responses:
                await call.write(response)

    return write
