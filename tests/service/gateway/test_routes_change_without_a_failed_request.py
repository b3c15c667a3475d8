"""Engines come and go, the serving service too; requests do not notice."""

import asyncio
import time
from pathlib import Path

import httpx
from service.gateway.gateway_world import World, route_to, world

from posology.core.rpc.server import running
from posology.gateway import snapshots
from posology.gateway.app import build
from posology.v1alpha1 import gateway_pb2 as pb


async def test_without_a_ready_engine_the_answer_is_503_and_when_to_retry(gateway: World) -> None:
    await gateway.routes(route_to())
    response = await gateway.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_engine_ready")
    assert int(response.headers["retry-after"]) >= 1


async def test_an_engine_that_drains_refuses_and_another_answers(gateway: World) -> None:
    other = await gateway.start_agent()
    await gateway.route(gateway.agents[0], other)
    gateway.agents[0].proxy.begin_drain()
    assert {(await gateway.chat()).status_code for _ in range(10)} == {200}
    assert other.engine.finished == 10


async def test_a_request_waits_for_the_route_that_is_on_its_way(gateway: World) -> None:
    other = await gateway.start_agent()
    gateway.agents[0].proxy.begin_drain()
    asking = asyncio.ensure_future(gateway.chat())
    await asyncio.sleep(0.2)
    await gateway.route(other)
    assert (await asking).status_code == 200


async def test_an_engine_that_is_gone_is_passed_over(gateway: World) -> None:
    other = await gateway.start_agent()
    gone = type(other)("http://127.0.0.1:9", other.proxy, other.engine, other.token)
    await gateway.route(gone, other)
    assert {(await gateway.chat()).status_code for _ in range(10)} == {200}


async def test_a_stream_through_a_drain_is_whole(gateway: World) -> None:
    other = await gateway.start_agent()
    streaming = asyncio.ensure_future(gateway.stream("[wait 0.02] hi", max_tokens=30))
    await gateway.until_busy()
    await gateway.route(other)
    gateway.agents[0].proxy.begin_drain()
    async with asyncio.timeout(5):
        await gateway.agents[0].proxy.idle()
    lines = await streaming
    assert len(lines) == 31
    assert lines[-1] == "[DONE]"


async def test_a_successor_at_the_same_address_is_found_without_new_routes(gateway: World) -> None:
    agent = gateway.agents[0]
    agent.proxy.draining = True
    asking = asyncio.ensure_future(gateway.chat())
    await asyncio.sleep(0.3)
    assert not asking.done()
    agent.proxy.draining = False  # as when a Service leads to the next pod
    assert (await asking).status_code == 200


async def test_requests_go_where_fewest_run(gateway: World) -> None:
    other = await gateway.start_agent()
    await gateway.route(gateway.agents[0], other)
    await asyncio.gather(*(gateway.stream("[wait 0.02] hi") for _ in range(10)))
    assert (gateway.agents[0].engine.finished, other.engine.finished) == (5, 5)


async def test_a_canary_takes_its_share_and_a_user_stays_on_one_side(gateway: World) -> None:
    other = await gateway.start_agent()
    await gateway.routes(route_to(gateway.agents[0], percent=75), route_to(other, name="second", percent=25))
    for number in range(80):
        await gateway.chat(user=f"user-{number}")
    assert 8 <= other.engine.finished <= 34
    sides = {(await gateway.chat(user="ada")).headers["x-posology-deployment"] for _ in range(10)}
    assert len(sides) == 1


async def test_the_gateway_serves_on_while_the_serving_service_is_away(tmp_path: Path) -> None:
    async with world(tmp_path) as gateway:
        settings = gateway.gateway.settings.model_copy(update={"serving_address": "127.0.0.1:9"})
        agent = gateway.agents[0]
        await _saved(gateway)
        # A second gateway process over the same database, that never reaches the serving service.
        async with build(settings) as lonely, running(lonely.server()):
            gateway.http.base_url = lonely.http.url
            response = await gateway.chat()
    assert response.status_code == 200
    assert agent.engine.finished == 1


async def test_a_stopping_gateway_finishes_what_runs_and_refuses_what_comes(gateway: World) -> None:
    streaming = asyncio.ensure_future(gateway.stream("[wait 0.02] hi", max_tokens=30))
    await gateway.until_busy()
    draining = asyncio.ensure_future(gateway.gateway._drain())
    await asyncio.sleep(0.05)
    refused = await gateway.chat()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (await gateway.http.get("/ready")).status_code == 503
    assert (await gateway.http.get("/health")).status_code == 200
    assert (await streaming)[-1] == "[DONE]"
    await draining


async def test_a_drain_that_takes_too_long_tells_the_client(tmp_path: Path) -> None:
    async with world(tmp_path, drain_seconds=0.3) as gateway:
        streaming = asyncio.ensure_future(gateway.http.send(_slow(gateway), stream=True))
        await gateway.until_busy()
        started = time.monotonic()
        await gateway.gateway._drain()
        assert time.monotonic() - started < 3
        response = await streaming
        await response.aclose()
        [record] = await gateway.answers()
    assert record.state == pb.Answer.FAILED


async def _saved(gateway: World) -> None:
    """Returns once the routes in force are on disk."""
    wanted, found = gateway.gateway.door.routes.current, None
    while found != wanted:
        async with gateway.gateway.db.read() as tx:
            found = await snapshots.load(tx)


def _slow(gateway: World) -> httpx.Request:
    body = {"model": "labels", "messages": [{"role": "user", "content": "[wait 0.1] hi"}], "max_tokens": 300}
    return gateway.http.build_request("POST", "/v1/chat/completions", json={**body, "stream": True})
