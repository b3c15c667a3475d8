"""How calls end: deadlines, callers who leave, services that drain, services that are away."""

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.rpc_example import NAME, Stub, Text, echo_server, free_address, settings, texts

from posology.core import errors
from posology.core.rpc import client, context, server
from posology.core.rpc.auth import read_token
from posology.core.rpc.client import Channel
from posology.core.rpc.server import running


def channel_to(address: str, folder: Path, **options: Any) -> Channel:
    return client.channel(address, token=read_token(folder / "token"), service="echo", **options)


async def test_a_deadline_of_the_caller_stops_the_handler(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def get(request: Any, call: Any) -> Any:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    async with running(echo_server(tmp_path, Get=get)) as address, channel_to(address, tmp_path) as channel:
        with pytest.raises(errors.Timeout, match="echo did not answer in time"):
            await Stub(channel).Get(Text(), timeout=0.2)
        await asyncio.wait_for(stopped.wait(), 2)


async def test_the_channel_sets_a_deadline_where_the_caller_sets_none(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        return Text(value=str(call.time_remaining()))

    async with (
        running(echo_server(tmp_path, Get=get)) as address,
        channel_to(address, tmp_path, timeout=7.0) as channel,
    ):
        assert 5 < float((await Stub(channel).Get(Text())).value) < 8


async def test_a_call_without_any_deadline_is_bounded_by_the_server(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        await asyncio.sleep(30)

    server = echo_server(tmp_path, settings_=settings(tmp_path, call_seconds=0.1), Get=get)
    async with running(server) as address, grpc.aio.insecure_channel(address) as plain:
        token = (("authorization", f"Bearer {read_token(tmp_path / 'token')}"),)
        with pytest.raises(grpc.aio.AioRpcError, match=r"not done after 0\.1 s"):
            await Stub(plain).Get(Text(), metadata=token)


async def test_a_watcher_who_leaves_ends_the_handler_at_once(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def watch(request: Any, call: Any) -> Any:
        try:
            while True:
                yield Text(value="tick")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with running(echo_server(tmp_path, Watch=watch)) as address, channel_to(address, tmp_path) as channel:
        call = Stub(channel).Watch(Text())
        assert (await call.read()).value == "tick"
        call.cancel()
        await asyncio.wait_for(ended.wait(), 2)


async def test_work_that_was_cancelled_inside_a_handler_is_answered(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        inner = asyncio.ensure_future(asyncio.sleep(30))
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    async with running(echo_server(tmp_path, Get=get)) as address, channel_to(address, tmp_path) as channel:
        with pytest.raises(errors.Cancelled, match="before it was done"):
            await Stub(channel).Get(Text(), timeout=5)


async def test_a_drain_ends_watch_streams_with_their_resume_token_and_finishes_calls(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        await asyncio.sleep(0.3)
        return Text(value="whole")

    async def watch(request: Any, call: Any) -> Any:
        yield Text(value="started")
        while not await context.pause(0.05):
            pass
        yield Text(value="resume at 7")

    drained: list[str] = []

    async def on_drain() -> None:
        drained.append("asked")

    server = echo_server(
        tmp_path, settings_=settings(tmp_path, drain_seconds=10), Get=get, Watch=watch, on_drain=(on_drain,)
    )
    serving = running(server)
    address = await serving.__aenter__()
    async with channel_to(address, tmp_path) as channel:
        stub = Stub(channel)
        watching = asyncio.ensure_future(texts(stub.Watch(Text())))
        getting = asyncio.ensure_future(_call(stub))
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await serving.__aexit__(None, None, None)
        assert time.monotonic() - begun < 3, "the drain waited for a stream"
        assert await watching == ["started", "resume at 7"]
        assert await getting == "whole"
        assert drained == ["asked"]


async def _call(stub: Stub) -> str:
    return str((await stub.Get(Text())).value)


async def test_until_shutdown_closes_what_it_follows(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def events() -> Any:
        try:
            yield Text(value="first")
            await asyncio.sleep(30)
        finally:
            closed.set()

    async def watch(request: Any, call: Any) -> Any:
        async for event in context.until_shutdown(events()):
            yield event
        yield Text(value="resume")

    serving = running(echo_server(tmp_path, Watch=watch))
    address = await serving.__aenter__()
    async with channel_to(address, tmp_path) as channel:
        watching = asyncio.ensure_future(texts(Stub(channel).Watch(Text())))
        await asyncio.sleep(0.1)
        await serving.__aexit__(None, None, None)
        assert await watching == ["first", "resume"]
        assert closed.is_set()


async def test_a_stream_that_ignores_the_drain_is_cut_after_the_grace(tmp_path: Path) -> None:
    async def watch(request: Any, call: Any) -> Any:
        yield Text(value="started")
        await asyncio.sleep(60)

    serving = running(echo_server(tmp_path, settings_=settings(tmp_path, drain_seconds=0.3), Watch=watch))
    address = await serving.__aenter__()
    async with channel_to(address, tmp_path) as channel:
        watching = asyncio.ensure_future(texts(Stub(channel).Watch(Text())))
        await asyncio.sleep(0.1)
        await serving.__aexit__(None, None, None)
        with pytest.raises(errors.Unavailable):
            await asyncio.wait_for(watching, 5)


async def test_health_says_not_serving_to_its_watchers_before_the_end(tmp_path: Path) -> None:
    serving = running(echo_server(tmp_path, settings_=settings(tmp_path, drain_seconds=10)))
    address = await serving.__aenter__()
    async with grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=NAME)
        assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        call = health.Watch(request)
        watching = asyncio.ensure_future(_statuses(call))
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await serving.__aexit__(None, None, None)
        assert await watching == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
        assert time.monotonic() - begun < 3, "the drain waited for the health watch"


async def _statuses(call: Any) -> list[int]:
    return [response.status async for response in call]


async def test_a_service_that_is_away_is_named_with_what_to_do() -> None:
    address = free_address()
    async with client.channel(address, service="curation") as channel:
        begun = time.monotonic()
        with pytest.raises(errors.Unavailable) as caught:
            await Stub(channel).Get(Text())
        assert caught.value.message.startswith(
            f"service curation at {address} is not reachable; start it with `posology up` ("
        )
        assert time.monotonic() - begun < 5


async def test_a_call_rides_over_a_restart_by_retries(tmp_path: Path) -> None:
    address = free_address()

    async def get(request: Any, call: Any) -> Any:
        return Text(value="back")

    server = echo_server(tmp_path, settings_=settings(tmp_path, listen=address), Get=get)
    async with channel_to(address, tmp_path) as channel:
        async with running(server):
            await Stub(channel).Get(Text())
        calling = asyncio.ensure_future(_call(Stub(channel)))
        await asyncio.sleep(0.05)
        async with running(server):
            assert await calling == "back"


async def test_an_error_of_ours_is_not_taken_for_an_absent_service(tmp_path: Path) -> None:
    async def get(request: Any, call: Any) -> Any:
        raise errors.Unavailable("the teacher is away; try again in a minute")

    async with running(echo_server(tmp_path, Get=get)) as address, channel_to(address, tmp_path) as channel:
        with pytest.raises(errors.Unavailable, match="the teacher is away; try again in a minute"):
            await Stub(channel).Get(Text())


async def test_an_unknown_method_asks_for_the_same_version(tmp_path: Path) -> None:
    async with running(echo_server(tmp_path)) as address, channel_to(address, tmp_path) as channel:
        with pytest.raises(errors.Internal, match="echo does not know this method"):
            await Stub(channel).Get(Text())


async def test_a_watch_stream_without_news_outlives_its_own_pings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every interval a hundredth of what it is; a server that counts pings as abuse ends the stream within 1 s."""
    faster = tuple((name, value // 100) if name.endswith("_ms") else (name, value) for name, value in server._OPTIONS)
    monkeypatch.setattr(server, "_OPTIONS", faster)
    pings = (("grpc.keepalive_time_ms", 400), ("grpc.http2.max_pings_without_data", 0))

    async def watch(request: Any, call: Any) -> Any:
        yield Text(value="hello")
        await asyncio.sleep(4)
        yield Text(value="still here")

    async with (
        running(echo_server(tmp_path, Watch=watch)) as address,
        channel_to(address, tmp_path, options=pings) as channel,
    ):
        assert [text.value async for text in Stub(channel).Watch(Text())] == ["hello", "still here"]
