"""A server that speaks the part of the Hugging Face hub's protocol that downloads a model at a commit."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """One repository at one commit; with a `token` it is gated. `corrupt` names a file that is altered on the way."""

    repository: str
    commit: str
    folder: Path
    token: str = ""
    corrupt: str = ""
    url: str = ""
    paths: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)

    def info(self) -> dict[str, object]:
        """What `/api/models/<repository>/revision/<commit>?blobs=true` answers."""
        files = [self._described(path) for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {"_id": "1", "id": self.repository, "modelId": self.repository, "sha": self.commit, "siblings": files}

    def _described(self, path: Path) -> dict[str, object]:
        name, content = str(path.relative_to(self.folder)), path.read_bytes()
        found: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": etag(content)}
        if name.endswith(".safetensors"):
            found["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return found


def etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.paths.append(path)
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._send(401, b"{}", {"X-Error-Code": "GatedRepo"}, body=body)
        api = f"/api/models/{self.hub.repository}/revision/"
        files = f"/{self.hub.repository}/resolve/{self.hub.commit}/"
        if path.startswith(api):
            if path.removeprefix(api) != self.hub.commit:
                return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body=body)
            return self._send(200, json.dumps(self.hub.info()).encode(), {}, body=body)
        if path.startswith(files) and (found := self.hub.folder / path.removeprefix(files)).is_file():
            return self._file(found, body=body)
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)

    def _file(self, path: Path, *, body: bool) -> None:
        content = path.read_bytes()
        headers = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": self.hub.commit, "Accept-Ranges": "bytes"}
        if path.name == self.hub.corrupt:
            content = content[:-1] + b"\xff"
        self._send(200, content, headers, body=body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at `hub.url` for the length of a block."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
