"""How clients reach an engine: by TCP, or by a socket file in a folder that only its user may enter.

vLLM asks nobody who they are, and a port of loopback is open to every user of a machine; a socket file is not. An
engine's URL is `http://host:port`, or `unix:/path/of/the/socket`.
"""

from pathlib import Path
from typing import Any

import httpx

_SOCKET = "unix:"


def base(url: str) -> str:
    """What paths are appended to: behind a socket the host is only a word in a header."""
    return "http://engine" if url.startswith(_SOCKET) else url


def http_client(url: str, *, limits: httpx.Limits | None = None, **options: Any) -> httpx.AsyncClient:
    """A client of the engine at `url`, with paths as URLs. It asks no proxy: nothing leaves the machine."""
    transport = httpx.AsyncHTTPTransport(uds=socket_of(url) or None, limits=limits or httpx.Limits(), trust_env=False)
    return httpx.AsyncClient(base_url=base(url), transport=transport, **options)


def socket_of(url: str) -> str:
    """The path of the engine's socket file; "" where it listens on a port."""
    return url.removeprefix(_SOCKET) if url.startswith(_SOCKET) else ""


def url_of(socket: Path) -> str:
    """The URL of an engine that listens on a socket file."""
    return f"{_SOCKET}{socket}"
