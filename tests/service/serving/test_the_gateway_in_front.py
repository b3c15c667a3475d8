"""Gateway, serving, agents and engines together: what a client meets while everything behind it changes."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from serving_world import PROMPT, Installation, Service, serving

from posology.core.rpc import client
from posology.core.rpc.server import running
from posology.gateway.app import compose
from posology.gateway.settings import GatewaySettings
from posology.v1alpha1 import gateway_pb2
from posology.v1alpha1.gateway_pb2_grpc import GatewayStub


@dataclass
class Client:
    """Asks over and over; keeps every response."""

    http: httpx.AsyncClient
    responses: list[httpx.Response]

    async def ask(self, **fields: Any) -> httpx.Response:
        body = {"model": "labels", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 8, **fields}
        response = await self.http.post("/v1/chat/completions", json=body)
        self.responses.append(response)
        return response

    async def keep_asking(self, *, every: float = 0.02) -> None:
        """Alternate whole answers and streams until cancelled."""
        stream = False
        while True:
            await self.ask(stream=stream, **({"max_tokens": 20} if stream else {}))
            stream = not stream
            await asyncio.sleep(every)

    def failures(self) -> list[str]:
        """Responses that were not whole answers."""
        return [r.text for r in self.responses if not _whole(r)]


def _whole(response: httpx.Response) -> bool:
    if response.status_code != 200:
        return False
    streamed = response.headers["content-type"].startswith("text/event-stream")
    return response.text.endswith("data: [DONE]\n\n") if streamed else bool(response.json()["choices"])


@asynccontextmanager
async def in_front(service: Service, port: int) -> AsyncIterator[Client]:
    """A gateway before the service that listens at `port`, and a client with a key."""
    root = service.installation.root
    settings = GatewaySettings(
        data_dir=root,
        metrics_port=-1,
        serving_address=f"127.0.0.1:{port}",
        database_url=f"sqlite:///{root}/db/g.sqlite",
    )
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(compose(settings))
        address = await stack.enter_async_context(running(gateway.server()))
        channel = await stack.enter_async_context(client.channel(address, token=service.installation.token))
        stub: Any = GatewayStub(channel)
        request = gateway_pb2.CreateApiKeyRequest(parent="namespaces/default", display_name="tests")
        key = await stub.CreateApiKey(request)
        http = httpx.AsyncClient(
            base_url=gateway.http.url, headers={"authorization": f"Bearer {key.secret}"}, timeout=60
        )
        yield Client(await stack.enter_async_context(http), [])


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def until_served(asking: Client) -> None:
    async with asyncio.timeout(20):
        while (await asking.ask()).status_code != 200:  # noqa: ASYNC110 - a client can only ask
            await asyncio.sleep(0.05)
    asking.responses.clear()


async def test_clients_do_not_notice_that_the_serving_service_was_killed(installation: Installation) -> None:
    port = free_port()
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        await service.create(model)
        await service.until("READY")
        await until_served(asking)
        asks = asyncio.ensure_future(asking.keep_asking())
        await service.kill()
        await asyncio.sleep(1)
        await service.restart()
        await service.until("READY")
        await asyncio.sleep(1)
        asks.cancel()
    assert asking.failures() == []
    assert len(asking.responses) > 20


async def test_new_weights_take_over_under_load_and_no_request_fails(installation: Installation) -> None:
    port = free_port()
    old, new = installation.weights("one"), installation.weights("two")
    installation.verdict(old)
    installation.verdict(new, seed="two")
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        await service.create(old, name="old")
        await service.until("READY", name="old")
        await until_served(asking)
        asks = [asyncio.ensure_future(asking.keep_asking()) for _ in range(4)]
        await service.create(new, name="new")
        await service.until("STOPPED", name="old")
        await asyncio.sleep(0.3)
        for task in asks:
            task.cancel()
    assert asking.failures() == []
    by = [r.headers["x-posology-deployment"].rpartition("/")[2] for r in asking.responses]
    assert (by[0], by[-1]) == ("old", "new")
    model_of = {"old": old, "new": new}
    told = zip(by, asking.responses, strict=True)
    assert all(response.headers["x-posology-model-digest"] == model_of[name] for name, response in told)


async def test_a_dead_engine_is_503_until_it_is_back(installation: Installation) -> None:
    port = free_port()
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        await service.create(model)
        await service.until("READY")
        await until_served(asking)
        installation.engine_python.rename(installation.root / "away")
        [pid] = service.agents().values()
        os.kill(pid, 9)
        await service.until("DEGRADED")
        async with asyncio.timeout(20):
            while (refused := await asking.ask()).status_code == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_engine_ready")
        assert "retry-after" in refused.headers
        (installation.root / "away").rename(installation.engine_python)
        await service.until("READY")
        await until_served(asking)
