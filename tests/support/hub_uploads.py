"""A server that speaks the part of the Hugging Face hub's protocol that takes a folder as one commit."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


@dataclass
class UploadHub:
    """What arrived: files of the one commit by path; large ones come over LFS, and are checked against their digest."""

    token: str
    url: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    hub: UploadHub
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self._body()
        oid = self.path.rsplit("/", 1)[1]
        ok = hashlib.sha256(content).hexdigest() == oid
        self.hub.blobs[oid] = content
        self._send(200 if ok else 400, {})

    def do_POST(self) -> None:
        content = self._body()
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._send(401, {"error": "Invalid token"})
        if self.path.endswith("/commit/main"):
            return self._commit([json.loads(line) for line in content.splitlines()])
        asked = json.loads(content)
        if self.path == "/api/repos/create":
            self.hub.created.append(asked)
            return self._send(200, {"url": f"{self.hub.url}/{asked.get('organization', 'me')}/{asked['name']}"})
        if self.path.endswith("/preupload/main"):
            files = [{"path": f["path"], "uploadMode": _mode(f["path"]), "shouldIgnore": False} for f in asked["files"]]
            return self._send(200, {"files": files})
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}} for one in asked["objects"]
            ]
            return self._send(200, {"transfer": "basic", "objects": objects})
        return self._send(200, {})

    def do_GET(self) -> None:
        self._send(404, {"error": "not here"})

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.blobs[value["oid"]]
        repository = self.path.removeprefix("/api/models/").removesuffix("/commit/main")
        address = f"{self.hub.url}/{repository}/commit/{COMMIT}"
        self._send(200, {"commitUrl": address, "commitOid": COMMIT, "success": True})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def _mode(path: str) -> str:
    return "lfs" if path.endswith(".safetensors") else "regular"


@contextmanager
def taking(token: str) -> Iterator[UploadHub]:
    """A hub that takes commits with this token, for the length of a block."""
    hub = UploadHub(token)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
