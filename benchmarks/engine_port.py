"""A port of loopback for an engine that listens on a socket file: programs of others know no socket files."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from posology.engine import Engine
from posology.engine.reach import socket_of

_CHUNK = 1 << 16


@asynccontextmanager
async def on_a_port(engine: Engine) -> AsyncIterator[str]:
    """The URL of the engine as long as the block runs; every user of this machine reaches it meanwhile."""
    running: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(socket_of(engine.url))
        for source, sink in ((reader, behind_writer), (behind_reader, writer)):
            task = asyncio.create_task(_copy(source, sink))
            running.add(task)
            task.add_done_callback(running.discard)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in running:
            task.cancel()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
    sink.close()
