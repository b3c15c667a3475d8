"""Asking a deployed model through the gateway, with what stands behind the answer."""

import json
from collections.abc import AsyncIterator

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from posology.client import Client
from posology.console import pages
from posology.console.guard import check_csrf
from posology.console.sessions import Session
from posology.core.errors import InvalidInput, Violation
from posology.core.streamed_lines import lines_as_they_come
from posology.v1alpha1.serving_pb2 import Deployment

_SECONDS = httpx.Timeout(10.0, read=120.0)


async def ask_page(request: Request) -> Response:
    """Which models answer, and a box."""
    client: Client = request.app.state.client
    ready = [one for one in await client.deployments() if one.state == Deployment.READY]
    names = sorted({one.spec.model_name for one in ready})
    return pages.page(request, "playground/ask.html", models=names, gateway=client.installation.gateway_url)


async def ask(request: Request) -> Response:
    """One question; the answer streams as JSON lines: the provenance headers first, then pieces of text."""
    check_csrf(request.state.session, request.headers.get("x-csrf", ""))
    client: Client = request.app.state.client
    try:
        body = json.loads(await request.body())
        question = {"model": str(body["model"]), "messages": [{"role": "user", "content": str(body["question"])}]}
        limit = min(int(body.get("max_tokens", 256)), 2048)
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("a question names model and question") from None
    secret = await _key(request)
    url = f"{client.installation.require_gateway()}/v1/chat/completions"

    async def told() -> AsyncIterator[str]:
        sent = {**question, "stream": True, "max_tokens": limit, "temperature": 0}
        headers = {"authorization": f"Bearer {secret}"}
        try:
            async with (
                httpx.AsyncClient(timeout=_SECONDS) as http,
                http.stream("POST", url, json=sent, headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    error = json.loads(await answer.aread())["error"]["message"]
                    yield json.dumps({"error": error}) + "\n"
                    return
                behind = {
                    k.removeprefix("x-posology-"): v for k, v in answer.headers.items() if k.startswith("x-posology-")
                }
                yield json.dumps({"behind": behind}) + "\n"
                async for line in lines_as_they_come(answer):
                    if line.startswith("data: {"):
                        event = json.loads(line[6:])
                        if "error" in event:
                            yield json.dumps({"error": event["error"]["message"]}) + "\n"
                            return
                        choices = event.get("choices") or [{}]
                        if text := choices[0].get("delta", {}).get("content"):
                            yield json.dumps({"text": text}) + "\n"
        except (httpx.HTTPError, ValueError, KeyError) as error:
            yield json.dumps({"error": f"the gateway did not answer: {type(error).__name__}"}) + "\n"

    return StreamingResponse(told(), media_type="application/x-ndjson")


async def mark(request: Request) -> Response:
    """A thumb on one answer, and why; says whether a review can show that answer."""
    check_csrf(request.state.session, request.headers.get("x-csrf", ""))
    client: Client = request.app.state.client
    try:
        body = json.loads(await request.body())
        answer, thumb, comment = str(body["answer"]), str(body["thumb"]), str(body.get("comment", ""))
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("a mark names answer and thumb") from None
    if thumb not in ("UP", "DOWN"):
        raise InvalidInput.of([Violation("thumb", "is UP or DOWN")])
    stored = await client.mark_answer(answer, thumb, comment=comment)
    return JSONResponse({"has_text": stored.has_text})


async def _key(request: Request) -> str:
    """A key of this session, made with its user's rights at the first question and held in memory only."""
    session: Session = request.state.session
    if not session.gateway_key:
        client: Client = request.app.state.client
        session.gateway_key = (await client.create_key("console playground", requests_per_minute=120)).secret
    return session.gateway_key


ROUTES = [
    Route("/playground", ask_page),
    Route("/playground/ask", ask, methods=["POST"]),
    Route("/playground/mark", mark, methods=["POST"]),
]
