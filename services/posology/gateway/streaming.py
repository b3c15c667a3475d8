"""A response made of events, whose source is closed at once when the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class EventStream(Response):
    """Sends events as they come.

    Starlette's own StreamingResponse leaves a cancelled source to the garbage collector; here its `finally`
    runs before the response returns, so engine and record hear at once that the client left.
    """

    media_type = "text/event-stream"

    def __init__(self, source: AsyncIterator[bytes], *, headers: Mapping[str, str]) -> None:
        self._source = cast(AsyncGenerator[bytes, None], source)
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"cache-control": "no-cache", **headers})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(sending, leaving)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        async with aclosing(self._source) as source:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in source:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnect(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class ClientLeft(Exception):
    """Nobody waits for this answer any more."""


async def unless_client_leaves(request: Request, work: "asyncio.Future[Response]") -> Response:
    """The result of `work`, which is cancelled when the client leaves before it is there."""
    leaving = asyncio.ensure_future(_disconnect(request.receive))
    try:
        both: list[asyncio.Future[Any]] = [work, leaving]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientLeft
        return work.result()
    finally:
        await _end(work, leaving)


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel what still runs, and wait until each has cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
