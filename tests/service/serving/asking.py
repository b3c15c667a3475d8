"""A client in front of gateway, serving, agents and engines, that asks over and over."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from service.serving.serving_world import PROMPT, Service

from posology.core.rpc import client
from posology.core.rpc.server import running
from posology.gateway.app import build
from posology.gateway.settings import Settings as GatewaySettings
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

    @asynccontextmanager
    async def busily(self, clients: int = 1) -> AsyncIterator[None]:
        """Clients that ask without end while the block runs; their last answers come to an end too."""
        over = asyncio.Event()
        asks = [asyncio.ensure_future(self._keep_asking(over)) for _ in range(clients)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*asks)

    async def _keep_asking(self, over: asyncio.Event, *, every: float = 0.02) -> None:
        """Alternate whole answers and streams."""
        stream = False
        while not over.is_set():
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
        gateway = await stack.enter_async_context(build(settings))
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
        while (await asking.ask()).status_code != 200:
            await asyncio.sleep(0.05)
    asking.responses.clear()
