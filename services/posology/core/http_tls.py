"""TLS for HTTP with the files that gRPC's TLS uses, renewed in place as those are."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx

from posology.core.errors import FailedPrecondition
from posology.core.rpc.tls import Files

log = logging.getLogger("posology.tls")
_NO_HEADERS_OF_ITS_OWN = ("Accept", "Accept-Encoding", "User-Agent")
_LOOK_SECONDS = 10.0


def server_context(files: Files) -> ssl.SSLContext | None:
    """What a server shows; None for plain text. It asks nobody for a certificate: callers show a token instead."""
    if files.certificate is None or files.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    return context


def client_context(files: Files) -> ssl.SSLContext | None:
    """Whom a client trusts: the authorities that the files name and nobody else; None for plain text."""
    if files.authorities is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, files)
    return context


@asynccontextmanager
async def renewed(context: ssl.SSLContext | None, files: Files) -> AsyncIterator[ssl.SSLContext | None]:
    """`context`, which inside the block uses what the files hold, from the next handshake after a change on.

    A new authority is trusted beside the old one, until the process ends.
    """
    if context is None:
        yield None
        return
    task = asyncio.ensure_future(_renew(context, files))
    try:
        yield context
    finally:
        task.cancel()


@asynccontextmanager
async def client(files: Files, *, name: str = "", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """For servers of this installation: on loopback or in the cluster, so no proxy stands between.

    `name` is what their certificates must hold, whatever their addresses; empty = that of the address. `options` are
    those of httpx.AsyncClient.
    """

    async def named(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = name

    async with renewed(client_context(files), files) as context:
        hooks = {"request": [named]} if context and name else None
        async with httpx.AsyncClient(verify=context or True, event_hooks=hooks, trust_env=False, **options) as made:
            yield made


@asynccontextmanager
async def session(
    files: Files, patience: aiohttp.ClientTimeout, *, socket: str = ""
) -> AsyncIterator[aiohttp.ClientSession]:
    """As `client`, for the way of every answer: a request by aiohttp costs a third of one by httpx. With `socket` all
    requests go to that socket file, whatever their URLs say.

    Compression and cookies of the other side are nobody's business here: what comes is handed on, and what goes says
    no more than it was given.
    """
    async with renewed(client_context(files), files) as context:
        # Servers of ours and vLLM's let an idle connection go after 5 s; letting go first, no request meets a closing
        # one.
        connector: aiohttp.BaseConnector = (
            aiohttp.UnixConnector(socket, limit=0, keepalive_timeout=4)
            if socket
            else aiohttp.TCPConnector(limit=0, ssl=context or True, keepalive_timeout=4)
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=patience,
            skip_auto_headers=_NO_HEADERS_OF_ITS_OWN,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as made:
            yield made


async def _renew(context: ssl.SSLContext, files: Files) -> None:
    stamp = files.stamp()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            if (found := files.stamp()) == stamp:
                continue
            _load(context, files)
        except FailedPrecondition as error:  # half of a change is no change yet
            log.warning("the certificate stays as it was: %s", error.message)
            continue
        stamp = found
        log.info("the certificate was renewed")


def _load(context: ssl.SSLContext, files: Files) -> None:
    try:
        if files.certificate and files.key:
            context.load_cert_chain(files.certificate, files.key)
        if files.authorities:
            context.load_verify_locations(files.authorities)
    except (OSError, ssl.SSLError) as error:
        raise FailedPrecondition(f"{files.certificate or files.authorities} can't be used ({error})") from None
