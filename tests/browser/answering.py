"""Two models beside a stored installation: serving that names them and a gateway that answers for them are stand-ins,
so that no engine has to run; the answers are recorded in the real gateway's database."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc.aio
from aiohttp import web
from browser.conftest import Console
from support.servers import REPOSITORY

from posology.gateway.answers import new_answer_id, row_of
from posology.gateway.domain import Answer, AnswerKind, AnswerState, Provenance
from posology.v1alpha1 import serving_pb2, serving_pb2_grpc

MODELS = ("aspirin-8b", "warfarin-8b")


class Serving(serving_pb2_grpc.ServingServicer):
    """Two models that are ready."""

    async def ListDeployments(self, request: Any, _: Any) -> serving_pb2.ListDeploymentsResponse:
        ready = serving_pb2.Deployment.READY
        return serving_pb2.ListDeploymentsResponse(
            deployments=[
                serving_pb2.Deployment(
                    name=f"{request.parent}/deployments/{name}",
                    spec=serving_pb2.ServingSpec(model_name=name),
                    state=ready,
                )
                for name in MODELS
            ]
        )


@dataclass
class Model:
    """What it answers, and how."""

    data: Path
    keeps_text: bool = True
    breaks: bool = False
    answers: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Three pieces, as server-sent events."""
        body = await request.json()
        answer_id = new_answer_id()
        text = "Take 5 mg daily. Call Mr. John Smith at 555-123-4567."
        self._record(answer_id, body, text)
        headers = {"content-type": "text/event-stream", "x-posology-answer": answer_id, "x-posology-run": "micro"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for piece in (text[:10], text[10:20], text[20:])[: 1 if self.breaks else 3]:
            chunk = {"choices": [{"delta": {"content": piece}}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if self.breaks and request.transport is not None:
            request.transport.abort()
        return response

    def _record(self, answer_id: str, body: dict[str, Any], text: str) -> None:
        self.answers.append(answer_id)
        prompt = json.dumps(body["messages"])
        record = Answer(
            answer_id, "default", "key", datetime.now(UTC), AnswerKind.CHAT, body["model"], "d", "a",
            Provenance("sha256:" + "1" * 64, "sha256:" + "2" * 64), True, "h", prompt if self.keeps_text else None,
            AnswerState.COMPLETE, "h", text if self.keeps_text else None, "stop",
        )  # fmt: skip
        row = row_of(record) | {"created_at": record.created_at.strftime("%Y-%m-%d %H:%M:%S.%f")}
        with sqlite3.connect(self.data / "db" / "gateway.sqlite", timeout=30) as db:
            marks = ", ".join("?" for _ in row)
            db.execute(f"insert into answers ({', '.join(row)}) values ({marks})", [*row.values()])


@contextmanager
def answering(console: Console, folder: Path) -> Iterator[tuple[Console, Model]]:
    """A second console over the same installation, in which two models answer."""
    model, ready, stop = Model(console.data), threading.Event(), asyncio.Event()
    at: dict[str, Any] = {}

    async def serve() -> None:
        server = grpc.aio.server()
        serving_pb2_grpc.add_ServingServicer_to_server(Serving(), server)  # type: ignore[abstract]
        at["serving"] = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", model.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        at["gateway"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        at["loop"] = asyncio.get_running_loop()
        ready.set()
        await stop.wait()
        await runner.cleanup()
        await server.stop(0)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    data = folder / "data"
    data.mkdir()
    for name in ("token", "endpoints.json"):
        (data / name).write_bytes((console.data / name).read_bytes())
    settings = {
        "POSOLOGY_DATA_DIR": str(data), "POSOLOGY_TOKEN_FILE": str(data / "token"),
        "POSOLOGY_SERVING_ADDRESS": at["serving"], "POSOLOGY_GATEWAY_URL": at["gateway"],
        "POSOLOGY_CONSOLE_READY_FILE": str(data / "console.json"),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "posology.console.app"], env={**os.environ, **settings}, cwd=REPOSITORY
    )
    try:
        for _ in range(300):
            if (data / "console.json").exists():
                break
            assert process.poll() is None
            threading.Event().wait(0.1)
        yield Console(json.loads((data / "console.json").read_text())["url"], data), model
    finally:
        process.terminate()
        process.wait(20)
        at["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)
