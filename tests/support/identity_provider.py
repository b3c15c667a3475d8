"""A provider of identities: real keys, real signed tokens, published over real HTTPS."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from support.certificates import Authority


@dataclass
class IdentityProvider:
    """What it publishes, and what it signs."""

    folder: Path
    issuer: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    """Published private keys by their ids; their public halves are shown."""
    status: int = 200
    asked: list[str] = field(default_factory=list)

    @property
    def authority(self) -> Path:
        """Whom to trust to read it."""
        return self.folder / "ca.crt"

    def new_key(self, identity: str, *, elliptic: bool = False) -> None:
        """Publish one more key."""
        made = ec.generate_private_key(ec.SECP256R1()) if elliptic else rsa.generate_private_key(65537, 2048)
        self.keys[identity] = made

    def token(self, identity: str = "first", **claims: Any) -> str:
        """A token signed with a key; claims that are None are left out."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": "posology",
            "sub": "jane",
            "groups": ["team-a"],
            "iat": now,
            "exp": now + 300,
        }
        found = {name: value for name, value in (usual | claims).items() if value is not None}
        key = self.keys[identity]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(found, key, algorithm=algorithm, headers={"kid": identity})

    def answer(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        if path.endswith("/openid-configuration"):
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        return {"keys": [_published(name, key) for name, key in self.keys.items()]}


def _published(name: str, key: Any) -> dict[str, Any]:
    algorithm: Any = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    found: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return found | {"kid": name, "use": "sig"}


@contextmanager
def identity_provider(folder: Path) -> Iterator[IdentityProvider]:
    """A running one."""
    files = Authority().write(folder, "localhost")
    found = IdentityProvider(folder)
    found.new_key("first")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = json.dumps(found.answer(self.path)).encode()
            self.send_response(found.status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files["tls_cert_file"], files["tls_key_file"])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.issuer = f"https://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()
