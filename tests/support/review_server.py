"""What an API server answers to TokenReview and SubjectAccessReview, over real HTTP, and how often it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from posology.core.kube import ClusterConfig


@dataclass
class ReviewServer:
    """Knows users by token, and what each may do as `verb/namespace`."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    rights: dict[str, set[str]] = field(default_factory=dict)
    audiences: list[str] = field(default_factory=lambda: ["posology"])
    asked: list[dict[str, Any]] = field(default_factory=list)
    status: int = 201
    url: str = ""

    @property
    def access(self) -> ClusterConfig:
        """How to reach it."""
        return ClusterConfig(server=self.url, authority=b"", token="of-the-service")

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        spec = body["spec"]
        self.asked.append(spec)
        if "token" in spec:
            user = self.users.get(spec["token"])
            known = {"authenticated": True, "user": user, "audiences": self.audiences}
            return {"status": known if user else {"authenticated": False, "error": "token has expired"}}
        wanted = spec["resourceAttributes"]
        allowed = f"{wanted['verb']}/{wanted.get('namespace', '*')}" in self.rights.get(spec["user"], set())
        return {"status": {"allowed": allowed}}


@contextmanager
def review_server() -> Iterator[ReviewServer]:
    """A running one."""
    found = ReviewServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = json.dumps(found.answer(body) if found.status < 400 else {"message": "not now"}).encode()
            self.send_response(found.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()
