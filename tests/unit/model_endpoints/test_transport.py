"""A real server and a name server that lies: the connection is made to the address that was judged."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from support.teacher_server import completion, teacher_server

from posology.core.errors import PermissionDenied
from posology.core.model_endpoints import transport as module
from posology.core.model_endpoints.transport import CheckedTransport


def client(*addresses: str, allow_private: bool = True) -> httpx.Client:
    """Names resolve to the next of `addresses` at each look-up, the last one for ever."""
    left = list(addresses)

    def resolve(host: str, port: int) -> list[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    return httpx.Client(transport=CheckedTransport(allow_private=allow_private, resolve=resolve), timeout=3)


def test_a_name_that_turns_to_loopback_at_the_second_look_up_is_never_connected_to() -> None:
    with teacher_server() as server:
        port = server.url.split(":")[2].split("/")[0]
        with client("203.0.114.1", "127.0.0.1", allow_private=False) as caller:
            caller._transport._direct = httpx.HTTPTransport(retries=0)  # type: ignore[attr-defined]
            with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):  # the public address does not answer
                caller.post(f"http://rebind.example:{port}/v1", json={}, timeout=httpx.Timeout(1, connect=0.3))
            with pytest.raises(PermissionDenied, match="loopback"):
                caller.post(f"http://rebind.example:{port}/v1", json={})
        assert server.bodies == []


def test_the_host_that_the_client_wrote_is_what_the_server_reads() -> None:
    hosts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with serving(Handler) as port, client("127.0.0.1") as caller:
        assert caller.get(f"http://models.example:{port}/v1").status_code == 200
        assert caller.get(f"http://models.example:{port}/v1").status_code == 200
    assert set(hosts) == {f"models.example:{port}"}


def test_the_second_address_is_tried_when_the_first_does_not_answer() -> None:
    with teacher_server(lambda number, body: completion("{}")) as server:
        port = server.url.split(":")[2].split("/")[0]
        transport = CheckedTransport(allow_private=True, resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
        with httpx.Client(transport=transport) as caller:
            assert caller.post(f"http://models.example:{port}/v1", json={"a": 1}).status_code == 200
        assert server.bodies == [{"a": 1}]


def test_redirects_are_not_followed() -> None:
    with teacher_server(lambda n, b: (307, {"Location": "http://127.0.0.1:1/secret"}, {})) as server:
        port = server.url.split(":")[2].split("/")[0]
        with client("127.0.0.1") as caller:
            assert caller.post(f"http://models.example:{port}/v1", json={}).status_code == 307
        assert len(server.bodies) == 1


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    with teacher_server(lambda n, b: (200, {}, "x" * 2000)) as server:
        port = server.url.split(":")[2].split("/")[0]
        with client("127.0.0.1") as caller, pytest.raises(httpx.ReadError):
            caller.post(f"http://models.example:{port}/v1", json={})


def test_a_packed_answer_is_not_unpacked() -> None:
    with teacher_server(lambda n, b: (200, {"Content-Encoding": "gzip"}, "x")) as server:
        port = server.url.split(":")[2].split("/")[0]
        with client("127.0.0.1") as caller, pytest.raises(httpx.TransportError):
            caller.post(f"http://models.example:{port}/v1", json={})


def test_a_proxy_of_the_operators_is_used_and_what_is_written_still_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    with teacher_server(lambda number, body: completion("{}")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "")
        with client("203.0.114.1", allow_private=False) as caller:
            assert caller.post("http://models.example/v1", json={"via": "proxy"}).status_code == 200
            with pytest.raises(PermissionDenied):
                caller.post("http://169.254.169.254/v1", json={})
        assert proxy.bodies == [{"via": "proxy"}]


def test_tls_proves_the_name_and_not_the_address(tmp_path: Path) -> None:
    authority, certificate = certificates(tmp_path, "models.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    trusted = ssl.create_default_context(cafile=str(authority))
    with serving(Handler, context) as port:
        inner = httpx.HTTPTransport(verify=trusted)
        transport = CheckedTransport(allow_private=True, resolve=lambda host, port: ["127.0.0.1"], inner=inner)
        with httpx.Client(transport=transport) as caller:
            assert caller.get(f"https://models.example:{port}/").status_code == 200
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                caller.get(f"https://other.example:{port}/")


class serving:
    """A server on a free port of loopback."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> int:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return int(self._server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """An authority and a certificate with its key for one name."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(pem + private)
    return folder / "ca.pem", folder / "server.pem"
