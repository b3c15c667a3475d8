"""The OpenAI API over HTTP: who asks, what they ask, and every failure in OpenAI's words."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from posology.core.errors import Internal, NotFound, PosologyError
from posology.core.http import ClientLeft, unless_client_leaves
from posology.gateway import metrics, openapi, responses
from posology.gateway.answering import Answering
from posology.gateway.answers import new_answer_id
from posology.gateway.domain import (
    AnswerKind,
    ApiKey,
    BodyTooLarge,
    BodyTooSlow,
    EngineLost,
    NoEngine,
    WrongMediaType,
    WrongMethod,
)
from posology.gateway.keys import Authenticator
from posology.gateway.limits import Limits
from posology.gateway.openai import error_response, model_card, model_list
from posology.gateway.requests import ChatRequest, parse
from posology.gateway.routes import Routes
from posology.gateway.streaming import EventStream

log = logging.getLogger("posology.gateway")
_CLIENT_CLOSED = 499
"""What proxies log when a client left before its answer; nobody receives it."""


@dataclass
class OpenAiApi:
    """The HTTP side: shut while draining, when new requests are sent elsewhere and running ones end."""

    routes: Routes
    keys: Authenticator
    limiter: Limits
    answering: Answering
    max_body_bytes: int
    max_choices: int
    body_seconds: float = 30.0
    leaving: bool = False
    shut: bool = False
    _running: set["asyncio.Task[Any]"] = field(default_factory=set)
    _ended: asyncio.Condition = field(default_factory=asyncio.Condition)

    def app(self) -> Starlette:
        """The ASGI application; whatever it does not list (`/invocations`, `/tokenize`, ...) is 404."""
        routes = [
            *_with_slash("/v1/chat/completions", self._guarded(self.chat), "POST"),
            *_with_slash("/v1/completions", self._guarded(self.complete), "POST"),
            *_with_slash("/v1/responses", self._guarded(self.respond), "POST"),
            *_with_slash("/v1/models", self._guarded(self.models), "GET"),
            Route("/v1/models/{model:path}", self._guarded(self.model), methods=["GET"]),
            Route("/openapi.json", _openapi, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/ready", self.ready, methods=["GET"]),
        ]
        app = Starlette(routes=routes, exception_handlers={404: _no_such_path, 405: _no_such_method})
        app.router.redirect_slashes = False
        return app

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, partial(parse, kind=AnswerKind.CHAT, max_n=self.max_choices))

    async def complete(self, request: Request) -> Response:
        return await self._answer(request, partial(parse, kind=AnswerKind.COMPLETION, max_n=self.max_choices))

    async def respond(self, request: Request) -> Response:
        """A chat by OpenAI's newer API."""
        chats = list[ChatRequest]()

        def read(raw: bytes) -> ChatRequest:
            chats.append(responses.parse(raw))
            return chats[0]

        response = await self._answer(request, read)
        if response.status_code != 200:
            return response
        identity: str = request.state.request_id
        if isinstance(response, EventStream):
            response.translate(lambda source: responses.events(source, identity, chats[0].model))
            return response
        headers = {name: value for name, value in response.headers.items() if name.startswith("x-")}
        return JSONResponse(responses.whole(bytes(response.body), identity), headers=headers)

    async def models(self, request: Request) -> Response:
        key = await self._key(request)
        return JSONResponse(model_list(self.routes.current.of(key.namespace)))

    async def model(self, request: Request) -> Response:
        key = await self._key(request)
        return JSONResponse(model_card(self.routes.current.route(key.namespace, request.path_params["model"])))

    async def health(self, request: Request) -> Response:
        """The process lives."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """New requests may come; whether a given model answers is in `/v1/models`."""
        closing = self.leaving or self.shut
        return JSONResponse({"status": "draining" if closing else "ready"}, status_code=503 if closing else 200)

    async def drained(self) -> None:
        """Returns when no request runs any more and every record is written."""
        async with self._ended:
            await self._ended.wait_for(lambda: not self._running)
        await self.answering.settled()

    def cut(self) -> None:
        """End what still runs; streams are recorded as FAILED."""
        self.answering.cutting = True
        for task in self._running:
            task.cancel()

    async def _answer(self, request: Request, read: Callable[[bytes], ChatRequest]) -> Response:
        if self.shut:
            raise NoEngine("this gateway is going down; ask again", retry_after=1)
        _check_media_type(request)
        key = await self._key(request)
        async with AsyncExitStack() as stack:
            self._count(stack)
            # Before the body is read: whoever may run one request may send one body.
            rates = await stack.enter_async_context(self.limiter.admit(key))
            ask = read(await self._body(request))
            work = asyncio.ensure_future(self.answering.answer(ask, key, stack, rates, request.state.request_id))
            return await unless_client_leaves(request.receive, work)

    def _count(self, stack: AsyncExitStack) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        metrics.IN_FLIGHT.inc()
        stack.push_async_callback(self._uncount, task)

    async def _uncount(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        metrics.IN_FLIGHT.dec()
        async with self._ended:
            self._ended.notify_all()

    async def _key(self, request: Request) -> ApiKey:
        return await self.keys.identify(request.headers.get("authorization"))

    async def _body(self, request: Request) -> bytes:
        """The whole body; BodyTooLarge as soon as it is known to be, whatever its header says."""
        body = bytearray()
        try:
            async with asyncio.timeout(self.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self.max_body_bytes:
                        raise BodyTooLarge(f"the body is larger than {self.max_body_bytes} bytes; shorten the prompt")
        except TimeoutError:
            raise BodyTooSlow(f"the body did not come within {self.body_seconds:g} s") from None
        return bytes(body)

    def _guarded(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """`handle`, counted, with its errors as responses."""

        async def guarded(request: Request) -> Response:
            request.state.request_id = new_answer_id()
            response = await _spoken(handle, request)
            response.headers["x-request-id"] = request.state.request_id
            path = request.scope["route"].path.rstrip("/")
            log.info("answered", extra={"path": path, "status": response.status_code, **_answer_of(response)})
            metrics.REQUESTS.labels(path, str(response.status_code)).inc()
            return response

        return guarded


def _with_slash(path: str, handle: Callable[[Request], Awaitable[Response]], method: str) -> list[Route]:
    """The path, with a slash behind it or not. A redirect from one to the other would name this process's own scheme,
    and so send the key in clear where something in front ends TLS."""
    return [Route(path, handle, methods=[method]), Route(f"{path}/", handle, methods=[method])]


async def _openapi(_: Request) -> Response:
    """What this gateway takes and answers; it names no model, so it needs no key."""
    return JSONResponse(openapi.document())


def _answer_of(response: Response) -> dict[str, str]:
    """The answer's name, for the log; a stream has only begun at that moment."""
    name = response.headers.get("x-posology-answer")
    return {"answer": name} if name else {}


async def _spoken(handle: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    try:
        return await handle(request)
    except PosologyError as error:
        log.info("refused: %s", error.message, extra={"path": request.url.path, "error": type(error).__name__})
        metrics.CUT.inc(isinstance(error, EngineLost))
        return error_response(error)
    except (ClientLeft, ClientDisconnect):
        return Response(status_code=_CLIENT_CLOSED)
    except Exception:  # a client gets OpenAI's error body, never a traceback
        log.exception("a defect of the gateway", extra={"path": request.url.path})
        return error_response(Internal("the gateway failed on this request; its log says why"))


def _check_media_type(request: Request) -> None:
    """A client that says nothing means JSON; one that says something else has made a form of its request."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise WrongMediaType(f"the body must be application/json, not {media_type[:100]}")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise WrongMediaType(f"the body must be sent as it is, not with Content-Encoding {encoding[:100]}")


async def _no_such_path(request: Request, _: Exception) -> Response:
    served = "POST /v1/chat/completions, POST /v1/completions, POST /v1/responses, GET /v1/models, GET /openapi.json"
    return _marked(NotFound(f"{request.method} {request.scope['path'][:200]} is not served; there are {served}"))


async def _no_such_method(request: Request, error: Exception) -> Response:
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
    methods = ", ".join(sorted(name.strip() for name in allowed.split(",") if name.strip()))
    return _marked(WrongMethod(f"{request.url.path} takes {methods}, not {request.method}", allowed=methods))


def _marked(error: PosologyError) -> Response:
    response = error_response(error)
    response.headers["x-request-id"] = new_answer_id()
    return response
