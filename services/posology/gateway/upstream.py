"""One request to a released model: pick an engine, fit the request to it, fail over, and hand its answer back."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from posology.gateway.domain import AnswerKind, Backend, Endpoint, EngineLost, NoEngine, Route, Snapshot
from posology.gateway.requests import ChatRequest, clamp, fit, may_overflow
from posology.gateway.routes import Balance, Routes

PATHS: Mapping[AnswerKind, str] = {
    AnswerKind.CHAT: "/v1/chat/completions",
    AnswerKind.COMPLETION: "/v1/completions",
}


_NOT_TAKEN = (401, 403, 404, 502, 503)
"""The agent drains, or is not the one that the routes speak of: nothing that a client could mend."""


_RETRY_SECONDS = 0.1


class _TryAnother(Exception):
    """This engine took nothing of the request, so another one may have it."""


@dataclass(frozen=True)
class UpstreamResponse:
    """An engine that took the request; `response` is open and its body unread."""

    backend: Backend
    endpoint: Endpoint
    response: aiohttp.ClientResponse


class Upstream:
    """The engines behind the routes. A request moves on only while no engine has answered to it."""

    def __init__(
        self, routes: Routes, session: aiohttp.ClientSession, *, patience: float, longest: int, tls_name: str = ""
    ) -> None:
        """`patience` is how many seconds a request waits for an engine to appear or a route to change; `tls_name` is
        what agents' certificates must hold, empty = the host of their address."""
        self._routes = routes
        self._session = session
        self._tls_name = tls_name or None
        self._balance = Balance()
        self._patience = patience
        self._longest = longest

    @asynccontextmanager
    async def ask(
        self, ask: ChatRequest, *, namespace: str, answer_id: str, longest: int
    ) -> AsyncIterator[UpstreamResponse]:
        """Send `ask` to the best engine of its route; NoEngine when none takes it within the patience."""
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            snapshot = self._routes.current
            route = snapshot.route(namespace, ask.model)
            for backend, endpoint in self._balance.order(route, user=ask.user):
                try:
                    async with self._balance_and_send(ask, backend, endpoint, answer_id, longest) as taken:
                        yield taken
                        return
                except _TryAnother:
                    continue
            await self._wait_for_routes(route, snapshot, deadline)

    async def _wait_for_routes(self, route: Route, since: Snapshot, deadline: float) -> None:
        """Engines that refuse are draining: newer routes are on their way, or a successor at the same address."""
        left = deadline - asyncio.get_running_loop().time()
        if left > 0:
            await self._routes.changed(since, within=min(left, _RETRY_SECONDS))
        else:
            raise NoEngine(
                f'no engine of model "{route.model}" is ready; `posology deployments` shows why', retry_after=5
            )

    @asynccontextmanager
    async def _balance_and_send(
        self, ask: ChatRequest, backend: Backend, endpoint: Endpoint, answer_id: str, longest: int
    ) -> AsyncIterator[UpstreamResponse]:
        with self._balance.running(endpoint):
            body = await self._fitted(ask, backend, endpoint, longest)
            response = await self._send(endpoint, PATHS[ask.kind], body, answer_id)
            try:
                yield UpstreamResponse(backend, endpoint, response)
            finally:
                response.close()  # a body that was read whole has given its connection back already

    async def _fitted(self, ask: ChatRequest, backend: Backend, endpoint: Endpoint, longest: int) -> dict[str, Any]:
        """The body with its token clamp; the prompt is counted only where it could matter."""
        most = min(longest or self._longest, self._longest)
        body = clamp(ask, longest=most, max_model_length=backend.max_model_length)
        if not may_overflow(body, prompt=ask.prompt, max_model_length=backend.max_model_length):
            return body
        count = await self._count(ask, endpoint)
        return body if count is None else fit(body, prompt_tokens=count, max_model_length=backend.max_model_length)

    async def _count(self, ask: ChatRequest, endpoint: Endpoint) -> int | None:
        """How many tokens the engine makes of the prompt; None lets the engine itself say what is wrong."""
        content = {name: ask.body[name] for name in ("messages", "prompt") if name in ask.body}
        response = await self._send(endpoint, "/count", content, "")
        try:
            raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _TryAnother from error
        return int(json.loads(raw)["count"]) if response.status == 200 else None

    async def _send(
        self, endpoint: Endpoint, path: str, body: Mapping[str, Any], answer_id: str
    ) -> aiohttp.ClientResponse:
        headers = {"Authorization": f"Bearer {endpoint.token}", "Content-Type": "application/json"}
        if answer_id:
            headers["X-Request-Id"] = answer_id  # vLLM makes it the id of the answer and of its log lines
        try:
            response = await self._session.post(
                endpoint.url + path,
                data=json.dumps(body).encode(),
                headers=headers,
                allow_redirects=False,
                server_hostname=self._tls_name,
            )
        except aiohttp.SocketTimeoutError as error:
            raise EngineLost("the engine did not begin its answer in time; ask again") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _TryAnother from error
        if response.status in _NOT_TAKEN:
            response.close()
            raise _TryAnother
        return response
