"""Certificates that an installation makes itself are what its services take, and are made anew in time."""

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from posology.operator.certificates import DAYS, Certificate, Pair, is_due, issue, new_authority

SERVICE = Certificate(names=("posology-training.a.svc", "posology-training", "localhost", "127.0.0.1"))
WORKER = Certificate(names=("posology-worker.a.svc",), server=False)
ENGINE = Certificate(names=("posology-engine.a.svc",), client=False)
AUTHORITY = new_authority("posology")


def files(asked: Certificate, authority: Pair = AUTHORITY) -> dict[str, bytes]:
    made = issue(authority, asked)
    return {"ca.crt": authority.certificate, "tls.crt": made.certificate, "tls.key": made.key}


async def calls(caller: dict[str, bytes], served: dict[str, bytes], name: str = "localhost") -> bool:
    """Whether a call over gRPC, with certificates asked of both, gets through."""
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    pairs = [(served["tls.key"], served["tls.crt"])]
    shown = grpc.ssl_server_credentials(pairs, served["ca.crt"], require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", shown)
    await server.start()
    credentials = grpc.ssl_channel_credentials(caller["ca.crt"], caller["tls.key"], caller["tls.crt"])
    options = [("grpc.ssl_target_name_override", name)]
    try:
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    except grpc.aio.AioRpcError:
        return False
    finally:
        await server.stop(None)
    return True


async def test_services_and_workers_call_a_service_by_its_name() -> None:
    for name in SERVICE.names[:-1]:
        assert await calls(files(WORKER), files(SERVICE), name)
    assert await calls(files(SERVICE), files(SERVICE))


async def test_nobody_else_gets_through() -> None:
    other = new_authority("other")
    assert not await calls(files(WORKER, other), files(SERVICE)), "of another authority"
    assert not await calls(files(ENGINE), files(SERVICE)), "an engine calls nobody"
    assert not await calls(files(WORKER), files(WORKER), WORKER.names[0]), "a worker's makes no service"
    assert not await calls(files(WORKER), files(SERVICE), "posology-evaluation.a.svc"), "another name"


def test_openssl_takes_the_chain_strictly(tmp_path: Path) -> None:
    made = files(SERVICE)
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="posology-training.a.svc")
    back = server.wrap_bio(to_server, to_client, server_side=True)
    for step in (client.do_handshake, back.do_handshake) * 3:
        _try(step)
    assert client.getpeercert()


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except ssl.SSLWantReadError:
        return


def test_a_certificate_is_made_anew_after_two_thirds_of_its_time_or_when_it_is_another_that_is_wanted() -> None:
    made, now = files(SERVICE), datetime.datetime.now(datetime.UTC)
    assert not is_due(made, AUTHORITY, SERVICE)
    assert not is_due(made, AUTHORITY, SERVICE, now=now + datetime.timedelta(days=DAYS * 2 / 3 - 1))
    assert is_due(made, AUTHORITY, SERVICE, now=now + datetime.timedelta(days=DAYS * 2 / 3))
    assert is_due(made, AUTHORITY, WORKER), "other names"
    assert is_due(made, new_authority("other"), SERVICE), "another authority"
    assert is_due({"ca.crt": AUTHORITY.certificate}, AUTHORITY, SERVICE), "half of it is gone"


@pytest.mark.parametrize("length", [63, 253])
def test_long_names_are_certified(length: int) -> None:
    name = ".".join(["a" * 60] * 4)[:length]
    assert issue(AUTHORITY, Certificate(names=(name,))).parsed.subject.rfc4514_string() == ""
