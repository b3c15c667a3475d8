"""A response made of events, whose source is closed at once when the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from posology.core.http import ClientLeft, unless_client_leaves


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

    def translate(self, how: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]) -> None:
        """Send what `how` makes of the events instead; it closes the source that it is given."""
        self._source = cast(AsyncGenerator[bytes, None], how(self._source))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ClientLeft):
            await unless_client_leaves(receive, asyncio.ensure_future(self._send(send)))

    async def _send(self, send: Send) -> None:
        async with aclosing(self._source) as source:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in source:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
