"""Requests in, engine's answers out: authenticated, unchanged, counted, and refused once draining."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict

import aiohttp
import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from posology.core import http_tls
from posology.core.http import ClientLeft, unless_client_leaves
from posology.core.rpc.tls import PLAIN
from posology.engine import load
from posology.engine.reach import base, socket_of
from posology.serving.agent.report import Report, to_json
from posology.serving.domain import ReplicaState

_FORWARDED = ("content-type", "x-request-id", "traceparent")
_ASKED = {"/v1/chat/completions": "/v1/chat/completions", "/v1/completions": "/v1/completions", "/count": "/tokenize"}
"""Path here -> path at the engine. Whatever else vLLM serves (`/invocations`, `/pause`, ...) is not reachable."""
_VERIFIED = (ReplicaState.STARTING, ReplicaState.PROBING, ReplicaState.READY, ReplicaState.DRAINING)


def engine_session(url: str = "") -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """The way to the engine at `url` beside us; how long an answer may take is the gateway's to say."""
    return http_tls.session(PLAIN, aiohttp.ClientTimeout(sock_connect=5), socket=socket_of(url))


class Proxy:
    """The only way to the engine. `target` is its base URL once it may answer, None before."""

    def __init__(
        self, report: Report, session: aiohttp.ClientSession, *, token: str, engine_url: str = "", drain_path: str = ""
    ) -> None:
        self.target: str | None = None
        self.draining = False
        self.leaving = False
        self._refusal = ""
        self._report = report
        self._token = token
        self._engine_url = engine_url
        self._drain_path = drain_path
        self._running = 0
        self._idle = asyncio.Condition()
        self._session = session

    def app(self) -> Starlette:
        requests = [Route(path, self._owned(self.forward), methods=["POST"]) for path in _ASKED]
        kubelet = [Route("/verified", self.verified), Route("/engine", self.engine)] if self._engine_url else []
        hook = [Route(self._drain_path, self.drained)] if self._drain_path else []
        return Starlette(
            routes=[
                *requests,
                *kubelet,
                *hook,
                Route("/drain", self._owned(self.drain), methods=["POST"]),
                Route("/status", self._owned(self.status), methods=["GET"]),
                Route("/load", self._owned(self.load), methods=["GET"]),
                Route("/ready", self.ready, methods=["GET"]),
                Route("/health", self.health, methods=["GET"]),
            ]
        )

    @asynccontextmanager
    async def reaching(self, url: str) -> AsyncIterator[None]:
        """Inside the block requests go to the engine at `url`."""
        before = self._session
        async with engine_session(url) as self._session:
            self.target = url
            try:
                yield
            finally:
                self.target, self._session = None, before

    async def health(self, _: Request) -> Response:
        """The agent lives."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """True only while weights are verified, probes replayed, the engine healthy, and no drain has begun."""
        state = self._report.status.state
        return JSONResponse({"state": str(state)}, status_code=200 if state is ReplicaState.READY else 503)

    async def verified(self, _: Request) -> Response:
        """True once the weights lie on this disk and may serve: an engine beside us may start."""
        state = self._report.status.state
        return JSONResponse({"state": str(state)}, status_code=200 if state in _VERIFIED else 503)

    async def engine(self, _: Request) -> Response:
        """Whether the engine beside us answers, for those who can't reach its loopback."""
        return Response(status_code=200 if await self._engine_answers() else 503)

    async def drained(self, _: Request) -> Response:
        """Drain, and answer when the last request has ended. An engine that still loads would not hear that it is to
        end, so it is waited for as well, until we are to end ourselves."""
        self.begin_drain()
        await self.idle()
        while not (self.leaving or await self._engine_answers()):  # noqa: ASYNC110 - another process sets none
            await asyncio.sleep(1)
        return JSONResponse({"running": self._running})

    async def _engine_answers(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with self._session.get(f"{self._engine_url}/health", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def status(self, _: Request) -> Response:
        return JSONResponse({**to_json(self._report.status), "running": self._running})

    async def load(self, _: Request) -> Response:
        """What the engine runs and lets wait, as its own metrics say."""
        if self.target is None:
            return _unavailable("this engine is not ready")
        try:
            return JSONResponse(asdict(await load(self.target)))
        except httpx.HTTPError as error:
            return _unavailable(f"the engine does not say how busy it is: {error}")

    async def drain(self, _: Request) -> Response:
        """Refuse new requests from now on; running ones finish."""
        self.begin_drain()
        return JSONResponse({"running": self._running}, status_code=202)

    def begin_drain(self) -> None:
        self.draining = True
        self._report.say(ReplicaState.DRAINING, "told to drain")

    def refuse(self, why: str) -> None:
        """Answer nothing more, and say why."""
        self.target, self._refusal = None, why

    async def idle(self) -> None:
        """Returns when no request runs."""
        async with self._idle:
            await self._idle.wait_for(lambda: self._running == 0)

    async def forward(self, request: Request) -> Response:
        """Pass a request on and stream its answer back."""
        if self.draining or self.target is None:
            return _unavailable(
                self._refusal or ("this engine is draining" if self.draining else "this engine is not ready")
            )
        url = base(self.target) + _ASKED[request.scope["route"].path]
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        # Counted before the first await, so a drain that begins now waits for this request.
        self._running += 1
        try:
            body = await request.body()
            # A whole answer begins only when it is finished: whoever leaves before must stop the engine too.
            sending = asyncio.ensure_future(self._sent(url, headers, body))
            response = await unless_client_leaves(request.receive, sending)
        except BaseException as error:
            await self._ended()
            if isinstance(error, ClientLeft | ClientDisconnect):
                return Response(status_code=499)
            if isinstance(error, aiohttp.ClientError | TimeoutError):
                return _unavailable("the engine is gone")
            raise
        return _Passed(response, self._ended)

    async def _sent(self, url: str, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        return await self._session.post(url, data=body, headers=headers, allow_redirects=False)

    async def _ended(self) -> None:
        self._running -= 1
        async with self._idle:
            self._idle.notify_all()

    def _owned(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """`handle` for callers with the token; 401 for everybody else."""
        expected = f"Bearer {self._token}".encode()

        async def owned(request: Request) -> Response:
            authorization = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(authorization, expected):
                return JSONResponse({"error": "a bearer token of this deployment is needed"}, status_code=401)
            return await handle(request)

        return owned


def _unavailable(why: str) -> Response:
    return JSONResponse({"error": why}, status_code=503, headers={"Retry-After": "1", "Connection": "close"})


class _Passed(Response):
    """An engine's response on its way through; closed at once when the caller leaves, so the engine stops."""

    def __init__(self, response: aiohttp.ClientResponse, ended: Callable[[], Awaitable[None]]) -> None:
        self._response = response
        self._ended = ended
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_client_leaves(receive, asyncio.ensure_future(self._send(send)))
        except ClientLeft:
            return
        finally:
            self._response.close()  # one that was read whole has given its connection back already
            await self._ended()

    async def _send(self, send: Send) -> None:
        kept = [(k, v) for k, v in self._response.raw_headers if k.lower() in (b"content-type", b"content-length")]
        await send({"type": "http.response.start", "status": self._response.status, "headers": kept})
        async for chunk in self._response.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
