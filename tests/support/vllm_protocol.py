"""A local server that speaks vLLM's protocol, without a model: for everything around an engine that a test needs fast.

It is no vLLM: answers are words drawn from a hash of model and prompt, so that equal weights give equal
tokens and others give others. `tests/pipeline/serving` holds the same claims against the real one.

As a program it takes the place of an engine's Python: `vllm_protocol.py -m vllm... --model DIR --port N ...`.
Words in the prompt steer it: `[wait 0.05]` = seconds before each token, `[cut 3]` = break off after three tokens,
`[abort 3]` = end after three tokens as vLLM does when it is shut down, `[fail]` = 500.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

VERSION = "0.32.0"
WORDS = ("take", "with", "food", "once", "daily", "avoid", "grapefruit", "monitor", "renal", "function")
TEMPLATE = "a template of the stand-in"


def weights_digest(folder: Path) -> str:
    """What stands for the weights: a hash of the model's bytes."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def prompt_ids(text: str) -> list[int]:
    """One token a word."""
    return [int.from_bytes(hashlib.sha256(word.encode()).digest()[:2]) for word in text.split()]


def answer_ids(weights: str, text: str, count: int) -> list[int]:
    """The greedy answer of these weights to a prompt."""
    seeds = (f"{weights}|{text}|{i}" for i in range(count))
    return [hashlib.sha256(seed.encode()).digest()[0] % len(WORDS) for seed in seeds]


@dataclass
class Protocol:
    """One server; `seen` holds the bodies of requests, `running` counts those under way."""

    weights: str
    name: str = "model"
    max_model_len: int = 512
    healthy: bool = True
    running: int = 0
    waiting: int = 0
    most: int = 1000
    """Requests that run at once; more of them wait."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    finished: int = 0

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.most)

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[None]:
        """Wait until there is room, then run."""
        self.waiting += 1
        try:
            await self._room.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._room.release()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/version", lambda _: JSONResponse({"version": VERSION})),
                Route("/metrics", self.metrics),
                Route("/v1/models", self.models),
                Route("/tokenize", self.tokenize, methods=["POST"]),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/invocations", self.chat, methods=["POST"]),
            ]
        )

    async def health(self, _: Request) -> Response:
        return Response(status_code=200 if self.healthy else 503)

    async def metrics(self, _: Request) -> Response:
        return PlainTextResponse(
            f"vllm:num_requests_running {self.running}\nvllm:num_requests_waiting {self.waiting}\n"
        )

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": self.name, "max_model_len": self.max_model_len}]})

    async def tokenize(self, request: Request) -> Response:
        return JSONResponse(
            {"count": len(prompt_ids(_text(await request.json()))), "max_model_len": self.max_model_len}
        )

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, chat=True)

    async def complete(self, request: Request) -> Response:
        return await self._answer(request, chat=False)

    async def _answer(self, request: Request, *, chat: bool) -> Response:
        body = await request.json()
        self.seen.append(body)
        text = _text(body)
        if "[fail]" in text:
            return JSONResponse({"error": {"message": "boom", "type": "InternalServerError"}}, status_code=500)
        asked = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        if len(prompt_ids(text)) + asked > self.max_model_len:
            message = f"maximum context length is {self.max_model_len} tokens"
            return JSONResponse(
                {"error": {"message": message, "type": "BadRequestError", "code": 400}}, status_code=400
            )
        identity = ("chatcmpl-" if chat else "cmpl-") + request.headers.get("x-request-id", "none")
        if body.get("stream"):
            return StreamingResponse(self._stream(body, text, asked, identity, chat), media_type="text/event-stream")
        return await self._whole(request, text, asked, identity, chat)

    async def _whole(self, request: Request, text: str, asked: int, identity: str, chat: bool) -> Response:
        body = await request.json()
        async with self._under_way():
            for _ in range(asked if _steer(text, "wait") else 0):
                await asyncio.sleep(_steer(text, "wait"))
                if await request.is_disconnected():  # vLLM stops then, too
                    return Response(status_code=499)
        ids = answer_ids(self.weights, text, asked)
        said = " ".join(WORDS[i] for i in ids)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        empty = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning"))  # as vLLM sends them
        message: dict[str, Any] = {"role": "assistant", "content": said, "tool_calls": [], **empty}
        choice |= {"message": message} if chat else {"text": said}
        if body.get("return_token_ids"):
            choice["token_ids"] = ids
        choices = [{**choice, "index": i} for i in range(body.get("n", 1))]
        found = {"id": identity, "object": "chat.completion" if chat else "text_completion",
                 "created": int(time.time()), "model": body["model"], "choices": choices,
                 "usage": _usage(text, asked)}  # fmt: skip
        self.finished += 1
        return JSONResponse({**found, "prompt_token_ids": prompt_ids(text)})

    async def _stream(
        self, body: dict[str, Any], text: str, asked: int, identity: str, chat: bool
    ) -> AsyncIterator[bytes]:
        cut, abort = int(_steer(text, "cut")), int(_steer(text, "abort"))
        async with self._under_way():
            for number, token in enumerate(answer_ids(self.weights, text, asked)):
                await asyncio.sleep(_steer(text, "wait"))
                if cut and number == cut:
                    raise ConnectionError("cut on demand")
                reason = "abort" if abort and number == abort else "length" if number == asked - 1 else None
                said = (" " if number else "") + WORDS[token]
                choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
                choice |= {"delta": {"content": said}} if chat else {"text": said}
                kind = "chat.completion.chunk" if chat else "text_completion"
                yield _event({"id": identity, "object": kind, "model": body["model"], "choices": [choice]})
                if reason == "abort":
                    break
            if (body.get("stream_options") or {}).get("include_usage"):
                kind = "chat.completion.chunk" if chat else "text_completion"
                usage = {"choices": [], "usage": _usage(text, asked)}
                yield _event({"id": identity, "object": kind, "model": body["model"], **usage})
            yield b"data: [DONE]\n\n"
            self.finished += 1


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({**body, "created": int(time.time())}).encode() + b"\n\n"


def _usage(text: str, count: int) -> dict[str, int]:
    prompt = len(prompt_ids(text))
    return {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}


def _text(body: dict[str, Any]) -> str:
    if "messages" in body:
        return " ".join(str(m["content"]) for m in body["messages"])
    return str(body["prompt"])


def _steer(text: str, word: str) -> float:
    found = re.search(rf"\[{word} ([0-9.]+)\]", text)
    return float(found[1]) if found else 0.0


def make_model(folder: Path, *, seed: str = "one") -> Path:
    """A folder that looks like a model, for stores and agents that only look at bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "stand-in", "max_position_embeddings": 512}))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "model.safetensors").write_bytes(hashlib.sha256(seed.encode()).digest() * 64)
    return folder


def main() -> None:
    """Listen as the engine package tells vLLM to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", default="model")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--uds")
    parser.add_argument("--max-model-len", type=int, default=0)
    told, _ = parser.parse_known_args()
    if os.environ.get("STAND_IN_FAILS"):
        raise SystemExit("told to fail")
    most = int(os.environ.get("STAND_IN_RUNS_AT_ONCE", 1000))
    served = Protocol(weights_digest(told.model), told.served_model_name, told.max_model_len or 512, most=most)
    where: dict[str, Any] = {"uds": told.uds} if told.uds else {"host": "127.0.0.1", "port": told.port}
    uvicorn.run(served.app(), **where, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
