"""What one connection may cost before anybody knows who it is: bounded bytes and seconds for a request's head and body.

Uvicorn's parser takes headers of any length for any time, and holds a connection that says nothing for ever.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Request line and headers together; browsers and proxies send a few KiB."""
HEAD_SECONDS = 10.0
"""From the first byte (or from the connection, for its first request) to the end of the headers."""
BODY_SECONDS = 120.0
"""From the end of the headers to the end of the body, whatever its length."""
CONNECTIONS = 2048
"""At once, over all clients of one server; more are closed as they come."""
_LINGER_SECONDS = 0.5
_PIECE = 8 * 1024
_FRAMING = 16
"""Bytes of chunk sizes and line ends for each byte of a body: one-byte chunks need six."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's, with an end to everything that a client may spin out."""

    head_bytes = HEAD_BYTES
    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS
    most_connections = CONNECTIONS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_size = self._framed = self._body_size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._limit(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unlimit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Headers are fed in small pieces, so that a long one is noticed before it is held."""
        if self._ended:
            return
        while data and self._in_head and not self._ended:
            piece, data = data[:_PIECE], data[_PIECE:]
            if self._timer is None:
                self._limit(self.head_seconds)
            self._head_size += len(piece)
            self._feed(piece)
            if self._in_head and self._head_size > self.head_bytes:
                self._end(b"431 Request Header Fields Too Large", "the headers are too long")
        if data and not self._ended:
            self._framed += len(data)
            if self._framed > self._body_size * _FRAMING + 2**18 + self.head_bytes:
                self._end(b"400 Bad Request", "the body has more framing than content")
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        if not (self._ended or self.transport.is_closing() or self.parser is None):
            super().data_received(data)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._framed = self._body_size = 0
        self._unlimit()
        self._limit(self.body_seconds)

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_size = True, 0
        self._unlimit()

    def _limit(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._late)

    def _unlimit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self._in_head and self._head_size:
            self._end(b"408 Request Timeout", "the headers took too long")
        else:
            self.transport.abort()

    def _end(self, status: bytes, why: str) -> None:
        """Say so once, and close a moment later: closing with bytes unread would take the answer back (RST)."""
        if self._ended or self.transport.is_closing():
            return
        self._ended = True
        self._unlimit()
        body = b'{"error":{"message":"%s","type":"invalid_request_error","param":null,"code":null}}' % why.encode()
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)
