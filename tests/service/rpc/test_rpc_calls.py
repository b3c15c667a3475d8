"""Calls of every shape through the real server and client: identity, validation, errors, trace."""

from pathlib import Path
from typing import Any

import pytest
from support.rpc_example import Stub, Text, echo_server, texts

from posology.core import errors
from posology.core.errors import Violation
from posology.core.rpc import client, context
from posology.core.rpc.auth import read_token
from posology.core.rpc.server import running


async def echo(request: Any, call: Any) -> Any:
    return Text(value=request.value)


async def test_a_unary_call_answers_and_knows_its_caller(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        return Text(value=f"{request.value} {context.caller.get().subject}")

    server = echo_server(tmp_path, Get=get)
    async with running(server) as address, client.channel(address, token=read_token(tmp_path / "token")) as channel:
        assert (await Stub(channel).Get(Text(value="hello"))).value == "hello installation"


async def test_streams_of_every_shape_pass_through(tmp_path: Path) -> None:
    async def watch(request: Any, call: Any) -> Any:
        for letter in request.value:
            yield Text(value=letter)

    async def upload(requests: Any, call: Any) -> Any:
        return Text(value="".join([request.value async for request in requests]))

    async def chat(requests: Any, call: Any) -> Any:
        async for request in requests:
            yield Text(value=request.value.upper())

    async def sent() -> Any:
        for letter in "abc":
            yield Text(value=letter)

    server = echo_server(tmp_path, Watch=watch, Upload=upload, Chat=chat)
    async with running(server) as address, client.channel(address, token=read_token(tmp_path / "token")) as channel:
        stub = Stub(channel)
        assert await texts(stub.Watch(Text(value="abc"))) == ["a", "b", "c"]
        assert (await stub.Upload(sent())).value == "abc"
        assert await texts(stub.Chat(sent())) == ["A", "B", "C"]


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_a_call_without_the_right_token_is_refused(tmp_path: Path, token: str | None) -> None:
    server = echo_server(tmp_path, Get=echo, Watch=echo)
    async with running(server) as address, client.channel(address, token=token) as channel:
        with pytest.raises(errors.Unauthenticated, match="token"):
            await Stub(channel).Get(Text(value="hello"))
        with pytest.raises(errors.Unauthenticated, match="token"):
            await texts(Stub(channel).Watch(Text(value="hello")))


async def test_an_error_arrives_as_its_own_class_with_its_violations(tmp_path: Path) -> None:
    violations = tuple(Violation(f"spec.sources[{i}].uri", "is not allowed") for i in range(200))

    async def get(request: Any, call: Any) -> Any:
        raise errors.InvalidInput.of(violations)

    server = echo_server(tmp_path, Get=get)
    async with running(server) as address, client.channel(address, token=read_token(tmp_path / "token")) as channel:
        with pytest.raises(errors.InvalidInput) as caught:
            await Stub(channel).Get(Text(value="hello"))
        assert caught.value.violations == violations


async def test_a_defect_shows_only_its_trace_id(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        raise KeyError("a secret of ours")

    server = echo_server(tmp_path, Get=get)
    async with running(server) as address, client.channel(address, token=read_token(tmp_path / "token")) as channel:
        context.trace_id.set("ab" * 16)
        with pytest.raises(errors.Internal) as caught:
            await Stub(channel).Get(Text(value="hello"))
        assert caught.value.message == f"internal error; the log has it under trace id {'ab' * 16}"
