"""An ASGI application inside a process that already has an event loop and handles its own signals."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp, Receive

from posology.core import http_tls
from posology.core.errors import FailedPrecondition
from posology.core.http_bounds import BoundedProtocol
from posology.core.rpc.tls import PLAIN, Files
from posology.core.settings import split_address

T = TypeVar("T")


class ClientLeft(Exception):
    """Nobody waits for this answer any more."""


class _Quiet(uvicorn.Server):
    """Uvicorn without its signal handlers: whoever runs this process decides when it drains."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """A listening server; `url` is its base, with the port that was bound."""

    def __init__(self, server: uvicorn.Server, url: str, serving: "asyncio.Task[None]") -> None:
        self.url = url
        self._server = server
        self._serving = serving

    async def stop(self) -> None:
        """Stop listening, let running requests end, close idle connections. Safe to call twice."""
        self._server.should_exit = True
        await asyncio.wait({self._serving})

    async def cut(self) -> None:
        """Stop without waiting for running requests."""
        self._server.force_exit = True
        await self.stop()


@asynccontextmanager
async def serving(app: ASGIApp, listen: str, *, tls: Files = PLAIN) -> AsyncIterator[HttpServer]:
    """Serve `app` at `listen` (host:port, port 0 takes a free one) inside the block, with `tls` by HTTPS.

    FailedPrecondition when the address is taken. Running requests are cut at the end of the block, so call
    `stop` first to let them end.
    """
    async with http_tls.renewed(http_tls.server_context(tls), tls) as context:
        bound = _bind(listen)
        server = _Quiet(_config(app, context))
        task = asyncio.ensure_future(server.serve(sockets=[bound]))
        try:
            while not server.started:
                await asyncio.sleep(0.005)
                if task.done():
                    task.result()
            host, port = bound.getsockname()[:2]
            scheme = "https" if context else "http"
            yield HttpServer(server, f"{scheme}://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}", task)
        finally:
            server.should_exit = server.force_exit = True
            await asyncio.wait({task})
            bound.close()


def _config(app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        ws="none",
    )
    config.load()
    config.ssl = tls  # made here, because uvicorn's own would keep its first certificate for ever
    return config


async def unless_client_leaves(receive: Receive, work: "asyncio.Future[T]") -> T:
    """The result of `work`; ClientLeft, with `work` cancelled and cleaned up, when the client leaves before it."""
    leaving = asyncio.ensure_future(_disconnect(receive))
    both: list[asyncio.Future[Any]] = [work, leaving]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientLeft
        return work.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)


async def _disconnect(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _bind(listen: str) -> socket.socket:
    host, port = split_address(listen)
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise FailedPrecondition(f"can't listen on {listen} ({error.strerror}); is another process there?") from None
