"""What belongs to the call that is being served: caller, run, trace, and the server's shutdown event."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Mapping
from contextvars import Context, ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

RUN_HEADER = "x-posology-run"
TRACE_HEADER = "traceparent"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_RUN = re.compile(r"[\x21-\x7e]{1,256}")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class Kind(StrEnum):
    """What an identity stands for."""

    OWNER = "owner"
    """Whoever holds the token of an installation that tells nobody apart: its one user, and its services."""
    SERVICE = "service"
    """A service of an installation that knows its users: trusted with everything but what only people decide."""
    USER = "user"
    """Somebody whom the cluster or an identity provider vouches for; may do what was granted."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as the authenticator established it; `subject` is what audit entries record as actor."""

    subject: str
    groups: tuple[str, ...] = ()
    kind: Kind = Kind.USER
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What else the cluster said about the user; it wants to hear it again when asked for rights."""
    door: str = ""
    """Through which service the subject came, if it did not call itself: `operator`, `orchestrator`."""


ANONYMOUS = Identity("anonymous")
"""The caller of methods that are exempt from authentication."""

caller: ContextVar[Identity] = ContextVar("caller", default=ANONYMOUS)
run_id: ContextVar[str] = ContextVar("run_id", default="")
"""Full resource name of the run that this work belongs to; travels with every outgoing call."""
acting_for: ContextVar[str] = ContextVar("acting_for", default="")
"""The user for whom this work is done, if it is known; travels with every outgoing call of a service."""
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""W3C trace id, 32 hexadecimal digits; travels with every outgoing call, stands in every log line."""
_span_id: ContextVar[str] = ContextVar("span_id", default="")
"""The span that outgoing calls are below, 16 hexadecimal digits: of this process, else of its caller."""
_sampled: ContextVar[bool] = ContextVar("sampled", default=True)
_shutdown: ContextVar[asyncio.Event | None] = ContextVar("shutdown", default=None)


def of_server(shutdown: asyncio.Event) -> Context:
    """An empty context for the calls of one server: nothing of whoever started it leaks into them."""
    fresh = Context()
    fresh.run(_shutdown.set, shutdown)
    return fresh


def new_trace_id() -> str:
    """A random W3C trace id."""
    return f"{random.getrandbits(128) | 1:032x}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a trace something happens; `sampled` False: whoever began the trace wants it told to nobody."""

    trace: str
    span: str = ""
    sampled: bool = True

    def at(self, span: str) -> "Place":
        """At another span of the same trace."""
        return Place(self.trace, span, self.sampled)

    def header(self) -> str:
        """As a `traceparent`, "" outside a trace; without a span it names a new one."""
        if not self.trace:
            return ""
        span = self.span or f"{random.getrandbits(64) | 1:016x}"
        return f"00-{self.trace}-{span}-{'01' if self.sampled else '00'}"


NOWHERE = Place("")


def parse_traceparent(header: str) -> Place:
    """What a `traceparent` says; NOWHERE when it is missing, malformed or all zero."""
    match = _TRACEPARENT.match(header)
    if not match or match[1] == _NO_TRACE or match[2] == _NO_SPAN or header.startswith("ff"):
        return NOWHERE
    return Place(match[1], match[2], bool(int(match[3], 16) & 1))


def place() -> Place:
    """Where this task is; NOWHERE outside a trace."""
    return Place(trace_id.get(), _span_id.get(), _sampled.get())


def enter(there: Place) -> None:
    """From here on this task is there: its outgoing calls, jobs and log lines belong to that trace."""
    trace_id.set(there.trace)
    _span_id.set(there.span)
    _sampled.set(there.sampled)


def bind(metadata: Mapping[str, str | bytes]) -> None:
    """Take run and trace from a call's metadata into the context of this task; start a trace if none came."""
    there = parse_traceparent(str(metadata.get(TRACE_HEADER, "")))
    enter(there if there.trace else Place(new_trace_id()))
    if (run := metadata.get(RUN_HEADER)) and isinstance(run, str) and _RUN.fullmatch(run):
        run_id.set(run)


def shutdown() -> asyncio.Event:
    """Set when the server that handles this call starts to drain; outside a call it never is."""
    return _shutdown.get() or asyncio.Event()


def draining() -> bool:
    """Whether a watch stream should send its last resume token and return now."""
    event = _shutdown.get()
    return event is not None and event.is_set()


async def pause(seconds: float) -> bool:
    """Sleep up to `seconds`; True at once when the server drains: `while not await pause(0.5): ...`."""
    try:
        async with asyncio.timeout(seconds):
            await shutdown().wait()
    except TimeoutError:
        return False
    return True


async def until_shutdown(source: AsyncIterator[T]) -> AsyncIterator[T]:
    """Items of `source` until it ends or the server drains; the source is closed either way."""
    stopping = asyncio.ensure_future(shutdown().wait())
    following: asyncio.Future[T] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(source))
            await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                return
            try:
                yield following.result()
            except StopAsyncIteration:
                return
    finally:
        stopping.cancel()
        if following is not None and not following.done():
            following.cancel()
            await asyncio.wait({following})
        if hasattr(source, "aclose"):
            await source.aclose()
