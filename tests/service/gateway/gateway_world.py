"""A gateway over real HTTP and gRPC, in front of a real agent's proxy and a server that speaks vLLM's protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
from google.protobuf.timestamp_pb2 import Timestamp
from support.vllm_protocol import Protocol

from posology.core import http as core_http
from posology.core.rpc import client
from posology.core.rpc.auth import ensure_token
from posology.core.rpc.server import Server, running
from posology.core.rpc.tls import PLAIN, Files
from posology.core.settings import ServiceSettings
from posology.gateway.app import Gateway, build
from posology.gateway.settings import Settings as GatewaySettings
from posology.serving.agent.proxy import Proxy, engine_session
from posology.serving.agent.report import Report
from posology.serving.domain import ReplicaState
from posology.v1alpha1 import gateway_pb2 as pb
from posology.v1alpha1 import serving_pb2, serving_pb2_grpc
from posology.v1alpha1.gateway_pb2_grpc import GatewayStub

MODEL = "sha256:" + "a" * 64
VERDICT = "sha256:" + "b" * 64
DATASET = "sha256:" + "c" * 64


class RouteSource(serving_pb2_grpc.ServingServicer):
    """The serving service's side of `WatchRoutes`, with routes that a test sets."""

    def __init__(self) -> None:
        self._table = serving_pb2.RouteTable(version=1)
        self._changed = asyncio.Condition()

    async def set(self, *routes: serving_pb2.Route) -> None:
        async with self._changed:
            self._table = serving_pb2.RouteTable(version=self._table.version + 1, routes=routes)
            self._changed.notify_all()

    def _newer(self, version: int) -> bool:
        return self._table.version != version

    async def WatchRoutes(self, request: Any, context: Any) -> AsyncIterator[serving_pb2.RouteTable]:
        sent = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(partial(self._newer, sent))
                table = self._table
            yield table
            sent = table.version


@dataclass
class Agent:
    """One agent's proxy, and the protocol server behind it."""

    url: str
    proxy: Proxy
    engine: Protocol
    token: str


@dataclass
class World:
    """Everything around one gateway."""

    gateway: Gateway
    http: httpx.AsyncClient
    rpc: Any
    """A `GatewayStub` on a channel of asyncio."""
    source: RouteSource
    key: str
    start_agent: Callable[[], Any]
    agents: list[Agent] = field(default_factory=list)

    async def chat(self, text: str = "May I take it?", **fields: Any) -> httpx.Response:
        body = {"model": "labels", "messages": [{"role": "user", "content": text}], "max_tokens": 8, **fields}
        return await self.http.post("/v1/chat/completions", json=body)

    async def stream(self, text: str = "May I take it?", **fields: Any) -> list[str]:
        """The `data:` lines of a streamed chat."""
        body = {"model": "labels", "messages": [{"role": "user", "content": text}], "max_tokens": 8, **fields}
        async with self.http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
            return [line[6:] async for line in response.aiter_lines() if line.startswith("data: ")]

    async def until_busy(self) -> None:
        """Returns once the first agent's engine works on a request."""
        while not self.agents[0].engine.running:
            await asyncio.sleep(0.01)

    async def answers(self) -> list[pb.Answer]:
        found = await self.rpc.ListAnswers(pb.ListAnswersRequest(parent="namespaces/default"))
        return list(found.answers)

    async def route(self, *agents: Agent, name: str = "first", percent: int = 100) -> None:
        """Put `agents` behind the model name `labels`, and wait until the gateway knows."""
        await self.routes(route_to(*agents, name=name, percent=percent))

    async def routes(self, *routes: serving_pb2.Route) -> None:
        before = self.gateway.door.routes.current
        await self.source.set(*routes)
        assert await self.gateway.door.routes.changed(before, within=5)


def route_to(*agents: Agent, name: str = "first", percent: int = 100) -> serving_pb2.Route:
    return serving_pb2.Route(
        model_name="labels",
        deployment=f"namespaces/default/deployments/{name}",
        agents=[agent.url for agent in agents],
        token=agents[0].token if agents else "none",
        traffic_percent=percent,
        model=MODEL,
        verdict=VERDICT,
        run="namespaces/default/fineTuneRuns/demo",
        dataset=DATASET,
        max_model_len=512,
        create_time=Timestamp(seconds=1_760_000_000),
    )


def said(lines: list[str]) -> str:
    """The text of a stream's events."""
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    return "".join(c["delta"]["content"] for e in events for c in e.get("choices", ()))


@asynccontextmanager
async def world(
    tmp_path: Path, *, tls: Mapping[str, Any] | None = None, agents_tls: Files = PLAIN, **settings: Any
) -> AsyncIterator[World]:
    """A gateway with a key and one agent behind `labels`; with `tls`, what services show each other."""
    async with AsyncExitStack() as stack:
        common: dict[str, Any] = {"data_dir": tmp_path, "listen": "127.0.0.1:0", **(tls or {})}
        token = ensure_token(tmp_path / "token")
        source = RouteSource()  # type: ignore[abstract]  # the other methods answer UNIMPLEMENTED
        address = await stack.enter_async_context(running(_serving_side(source, ServiceSettings(**common))))

        async def start_agent() -> Agent:
            engine = Protocol("weights")
            behind = await stack.enter_async_context(core_http.serving(engine.app(), "127.0.0.1:0"))
            report = Report(tmp_path)
            proxy = Proxy(report, await stack.enter_async_context(engine_session()), token="agent-token")
            front = await stack.enter_async_context(core_http.serving(proxy.app(), "127.0.0.1:0", tls=agents_tls))
            proxy.target = behind.url
            report.say(ReplicaState.READY, url=front.url)
            return Agent(front.url, proxy, engine, "agent-token")

        agent = await start_agent()
        made = GatewaySettings(
            **common, serving_address=address, metrics_port=-1, **{"patience_seconds": 1.0} | settings
        )
        gateway = await stack.enter_async_context(build(made))
        rpc_address = await stack.enter_async_context(running(gateway.server()))
        channel = await stack.enter_async_context(client.channel(rpc_address, token=token, files=Files.of(made)))
        rpc = GatewayStub(channel)
        key = await rpc.CreateApiKey(pb.CreateApiKeyRequest(parent="namespaces/default", display_name="tests"))
        headers = {"Authorization": f"Bearer {key.secret}"}
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=gateway.http.url, headers=headers, timeout=30)
        )
        built = World(gateway, http, rpc, source, key.secret, start_agent, [agent])
        await built.route(agent)
        yield built


def _serving_side(source: RouteSource, settings: ServiceSettings) -> Server:
    def add(server: grpc.aio.Server) -> None:
        serving_pb2_grpc.add_ServingServicer_to_server(source, server)

    quick = settings.model_copy(update={"metrics_port": -1, "drain_seconds": 0.1})
    return Server(name="serving", settings=quick, add=add, service_names=("posology.v1alpha1.Serving",))
