"""A handler, guarded: its request validated, its time bounded, its errors turned into a status, all counted."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
import protovalidate
from grpc_status import rpc_status

from posology.core import errors, schema, tracing
from posology.core.errors import PosologyError
from posology.core.rpc import context
from posology.core.rpc.method import Method, code_of
from posology.core.rpc.rights import Check
from posology.core.rpc.status import from_rpc_error, to_status

Call: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Run: TypeAlias = Callable[[Any, "Call"], Awaitable[Any]]

_violations = protovalidate.Validator().collect_violations
"""Asked on every call; only a request that fails pays for messages and paths (`core.schema`)."""
_LAST_WORD = 0.2
"""Seconds that streams of gRPC's own services get to say NOT_SERVING before they are ended by a drain."""


class Guard:
    """Wraps the handler of one method; `check` decides whether the caller may make a request."""

    def __init__(self, method: Method, *, call_seconds: float, check: Check | None = None) -> None:
        self._method = method
        self._check = check
        self._call_seconds = call_seconds

    def wrap(self, plain: Handler) -> Handler:
        """The same method, guarded. A response stream becomes a coroutine that writes."""
        sent = "stream" if plain.request_streaming else "unary"
        answered = "stream" if plain.response_streaming else "unary"
        run = self._run(getattr(plain, f"{sent}_{answered}"))
        if answered == "stream" and self._method.name.startswith("grpc."):
            run = _ended_by_drain(run)
        if self._check is not None:
            run = (_first_checked if plain.request_streaming else _checked)(run, self._check)
        if sent == answered == "unary":
            run = _bounded(run, self._call_seconds)
            if tracing.is_told(self._method.name):
                run = _traced(run, self._method.name)
        make: Any = getattr(grpc, f"{sent}_{answered}_rpc_method_handler")
        guarded = self._guarded(_valid_each if plain.request_streaming else _valid, run)
        wrapped: Handler = make(guarded, plain.request_deserializer, plain.response_serializer)
        return wrapped

    def refusal(self, error: Exception) -> Handler:
        """A handler that answers `error` without reading the request."""

        async def refuse(_: Any, call: Call) -> None:
            await self._fail(error, call, self._method.begin())

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _run(self, handle: Callable[[Any, Call], Any]) -> Run:
        if inspect.isasyncgenfunction(handle):
            return _writing(handle)
        if inspect.iscoroutinefunction(handle):
            return handle
        raise TypeError(f"{self._method.name} must be `async def`: a sync handler blocks every other call")

    def _guarded(self, incoming: Callable[[Any], Any], run: Run) -> Run:
        method = self._method

        async def guarded(request: Any, call: Call) -> Any:
            begun = method.begin()
            try:
                response = await run(incoming(request), call)
            except BaseException as error:  # noqa: BLE001 - each way below ends the call and raises
                await self._fail(error, call, begun)
            # Counted after this answer is on its way: nobody waits for our bookkeeping.
            asyncio.get_running_loop().call_soon(method.end, begun, code_of(call))
            return response

        return guarded

    async def _fail(self, error: BaseException, call: Call, begun: float) -> NoReturn:
        """End the call with the status that `error` stands for; raises always."""
        if isinstance(error, grpc.aio.AbortError):
            self._method.end(begun, code_of(call), message=str(call.details() or ""))
            raise error
        if _is_gone(error):
            left = call.time_remaining()
            self._method.end(begun, "DEADLINE_EXCEEDED" if left is not None and left <= 0 else "CANCELLED")
            raise error
        known = _known(error)
        defect = error if isinstance(known, errors.Internal) else None
        self._method.end(begun, known.grpc_status.name, message=known.message, defect=defect)
        await call.abort_with_status(rpc_status.to_status(to_status(known, trace_id=context.trace_id.get())))


def _is_gone(error: BaseException) -> bool:
    """Whether the caller left (or its deadline passed), so that nobody can be answered."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError):
        return task is None or task.cancelling() > 0  # else something that the handler awaited was cancelled
    return not isinstance(error, Exception) or isinstance(error, grpc.aio.UsageError)


def _known(error: BaseException) -> PosologyError:
    """The error that a caller may see: a defect of ours shows only its trace id."""
    if isinstance(error, PosologyError):
        return error
    if isinstance(error, grpc.RpcError):
        return from_rpc_error(error)
    if isinstance(error, asyncio.CancelledError):
        return errors.Cancelled("the work was cancelled before it was done")
    return errors.Internal(f"internal error; the log has it under trace id {context.trace_id.get()}")


def _valid(request: Any) -> Any:
    if _violations(request):
        schema.validate(request)
    return request


async def _valid_each(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _valid(request)


def _writing(handle: Callable[[Any, Call], Any]) -> Run:
    """An async generator as a coroutine: its `finally` runs when the call ends, not at some collection."""

    async def write(request: Any, call: Call) -> None:
        async with aclosing(handle(request, call)) as responses:
            async for response in responses:
                await call.write(response)

    return write


def _first_checked(run: Run, check: Check) -> Run:
    """The first message of a request stream says what the caller wants: it decides whether the caller may."""

    async def checked(requests: AsyncIterator[Any], call: Call) -> Any:
        first = await anext(requests, None)
        if first is None:
            raise errors.InvalidInput("the stream ended before its first message")
        await check(first)

        async def all_of_them() -> AsyncIterator[Any]:
            yield first
            async for request in requests:
                yield request

        return await run(all_of_them(), call)

    return checked


def _checked(run: Run, check: Check) -> Run:
    """First whether the caller may, then the call."""

    async def checked(request: Any, call: Call) -> Any:
        await check(request)
        return await run(request, call)

    return checked


def _traced(run: Run, method: str) -> Run:
    """The call as a span, where this process tells any."""

    async def traced(request: Any, call: Call) -> Any:
        if not tracing.on():
            return await run(request, call)
        span = tracing.Call.served(method)
        try:
            response = await run(request, call)
        except BaseException as error:
            if isinstance(error, grpc.aio.AbortError):
                span.end(code_of(call))
            elif _is_gone(error):
                span.end("CANCELLED")
            else:
                known = _known(error)
                span.end(known.grpc_status.name, type(known).__name__)
            raise
        span.end(code_of(call))
        return response

    return traced


def _bounded(run: Run, seconds: float) -> Run:
    """A caller's deadline cancels the task by itself; a call without one gets ours."""

    async def bounded(request: Any, call: Call) -> Any:
        if call.time_remaining() is not None:
            return await run(request, call)
        async with asyncio.timeout(seconds) as clock:
            try:
                return await run(request, call)
            except asyncio.CancelledError:
                if clock.expired():
                    raise errors.Timeout(f"not done after {seconds:g} s; set a longer deadline") from None
                raise

    return bounded


def _ended_by_drain(run: Run) -> Run:
    """Streams of gRPC's own services (health watches) never end by themselves: a drain would wait for them."""

    async def ended(request: Any, call: Call) -> None:
        running = asyncio.ensure_future(run(request, call))
        draining = asyncio.ensure_future(context.shutdown().wait())
        try:
            await asyncio.wait({running, draining}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({running}, timeout=_LAST_WORD)
            if running.done():
                await running
        finally:
            draining.cancel()
            running.cancel()

    return ended
