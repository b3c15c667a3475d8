"""A service of well-known types for tests of core.rpc: no contract of ours is needed."""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import wrappers_pb2 as wrappers

from posology.core.rpc.auth import ensure_token
from posology.core.rpc.server import Server
from posology.core.settings import ServiceSettings, load

NAME = "tests.Echo"
Text = wrappers.StringValue
Handle = Callable[[Any, Any], Any]


def settings(folder: Path, **overrides: Any) -> ServiceSettings:
    """Settings of an installation in `folder`, with a token, that drains fast."""
    found = load(ServiceSettings, data_dir=folder, **{"drain_seconds": 2.0} | overrides)
    ensure_token(found.token_file)
    return found


def add(server: grpc.aio.Server, **methods: Handle) -> None:
    """Register handlers named `Get`, `Watch`, `Upload` or `Chat` (their names say their shape)."""
    shapes = {
        "Watch": grpc.unary_stream_rpc_method_handler,
        "Upload": grpc.stream_unary_rpc_method_handler,
        "Chat": grpc.stream_stream_rpc_method_handler,
    }
    handlers = {
        name: shapes.get(name, grpc.unary_unary_rpc_method_handler)(handle, Text.FromString, Text.SerializeToString)
        for name, handle in methods.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))


def echo_server(folder: Path, *, settings_: ServiceSettings | None = None, **parts: Any) -> Server:
    """A server whose methods are the keyword arguments that start with a capital."""
    methods = {name: parts.pop(name) for name in list(parts) if name[0].isupper()}
    return Server(
        name="echo",
        settings=settings_ or settings(folder),
        add=lambda server: add(server, **methods),
        service_names=(NAME,),
        **parts,
    )


class Stub:
    """What a generated stub does."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        make = {"Watch": channel.unary_stream, "Upload": channel.stream_unary, "Chat": channel.stream_stream}
        self._make: dict[str, Any] = make
        self._unary: Any = channel.unary_unary

    def __getattr__(self, name: str) -> Any:
        return self._make.get(name, self._unary)(
            f"/{NAME}/{name}",
            request_serializer=Text.SerializeToString,
            response_deserializer=Text.FromString,
        )


async def texts(stream: AsyncIterator[Any]) -> list[str]:
    """The values of a stream, in order."""
    return [message.value async for message in stream]


def free_address() -> str:
    """A loopback address on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
