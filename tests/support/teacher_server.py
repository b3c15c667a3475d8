"""A real HTTP server that speaks the chat completions protocol, and misbehaves as a test tells it to."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from posology.core.model_endpoints.access import ModelAccess
from posology.core.model_endpoints.document import endpoint_of, write
from posology.core.model_endpoints.domain import ModelBudget, ModelEndpoint
from posology.core.model_endpoints.meter import Meter

Reply = tuple[int, dict[str, str], Any]
Behaviour = Callable[[int, dict[str, Any]], Reply]
"""(number of the request from 0, its body) -> (status, headers, body); a body of None means: hang for a while."""


@dataclass
class TeacherServer:
    """The requests that came, and the address to call."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


def access_to(url: str, *, key: str = "", budget: ModelBudget | None = None) -> ModelAccess:
    """The endpoint `teacher` at an address of this machine, as a worker is granted it."""
    budget = budget or ModelBudget()
    endpoint = ModelEndpoint("teacher", url, ("a-model",), budget=budget, allow_private=True)
    return ModelAccess(endpoint, key, Meter(budget))


def define_endpoint(folder: Path, url: str, *, name: str = "teacher", **spec: Any) -> None:
    """Define an endpoint at an address of this machine for every namespace, as an operator would."""
    known = {"address": url, "models": ["a-model"], "namespaces": ["*"], "allowPrivate": True}
    write(folder, endpoint_of(name, known | spec))


def completion(content: str, **message: Any) -> Reply:
    """A whole answer of a chat completions API."""
    choice = {"index": 0, "finish_reason": message.pop("finish_reason", "stop")}
    return 200, {}, {"choices": [choice | {"message": {"role": "assistant", "content": content} | message}]}


def task_of(body: dict[str, Any]) -> str:
    """What a teacher is asked for, whatever was said before and after: the turn that names the drug."""
    turns = [turn["content"] for turn in body["messages"] if turn["content"].startswith("Drug: ")]
    return str((turns or [body["messages"][-1]["content"]])[-1])


def good(number: int, body: dict[str, Any]) -> Reply:
    """Pairs made from the section's own sentences, as a good teacher would."""
    asked = task_of(body)
    drug = re.search(r"Drug: (.*)", asked)
    sentences = re.findall(r"[A-Z][^.\n]+\.", asked.split("\n\n", 1)[1].rsplit("\n\n", 1)[0])
    name = drug.group(1) if drug else ""
    pairs = [
        {
            "question": f"What does the label of {name} say about statement {n} of {len(s)} letters?",
            "answer": s,
            "question_type": "fact",
            "evidence": s,
        }
        for n, s in enumerate(sentences)
    ]
    return completion("Here they are:\n```json\n" + json.dumps({"pairs": pairs}) + "\n```\nEnjoy!")


@contextmanager
def teacher_server(behaviour: Behaviour = good) -> Iterator[TeacherServer]:
    """Serve on a free port until the block ends."""
    served = TeacherServer()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(served.bodies)
                served.bodies.append(body)
                served.keys.append(self.headers.get("Authorization", ""))
                served.times.append(time.monotonic())
            status, headers, content = behaviour(number, body)
            if content is None:
                time.sleep(3)
                self.close_connection = True
                return
            raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that was killed in the middle of a request is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
