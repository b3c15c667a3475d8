"""The project's own contract through the runner: constraints, reflection, TLS, and calls that call on."""

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from support.rpc_example import Stub, Text, echo_server, settings

from posology.core import errors
from posology.core.rpc import client, context
from posology.core.rpc.auth import read_token
from posology.core.rpc.authentication import Callers
from posology.core.rpc.server import Server, running
from posology.core.settings import ServiceSettings, load
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1 import orchestrator_pb2_grpc as rpc

ORCHESTRATOR = "posology.v1alpha1.Orchestrator"


class Runs(rpc.OrchestratorServicer):
    """Says what it was asked."""

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.FineTuneRun:
        return pb.FineTuneRun(name=request.name)

    async def CreateRun(self, request: pb.CreateRunRequest, context: Any) -> pb.FineTuneRun:
        return pb.FineTuneRun(spec=request.spec)


def orchestrator(folder: Path, *, settings_: ServiceSettings | None = None) -> Server:
    return Server(
        name="orchestrator",
        settings=settings_ or settings(folder),
        add=lambda server: rpc.add_OrchestratorServicer_to_server(Runs(), server),  # type: ignore[abstract]
        service_names=(ORCHESTRATOR,),
    )


async def test_a_request_that_breaks_the_contract_never_reaches_its_handler(tmp_path: Path) -> None:
    async with (
        running(orchestrator(tmp_path)) as address,
        client.channel(address, token=read_token(tmp_path / "token")) as channel,
    ):
        stub = rpc.OrchestratorStub(channel)
        assert (await stub.GetRun(pb.GetRunRequest(name="a"))).name == "a"
        with pytest.raises(errors.InvalidInput) as caught:
            await stub.GetRun(pb.GetRunRequest())
        assert [violation.field for violation in caught.value.violations] == ["name"]


async def test_all_violations_of_a_run_come_at_once_with_the_paths_of_its_yaml(tmp_path: Path) -> None:
    request = pb.CreateRunRequest(parent="namespaces/a")
    request.spec.training.sft.rank = -1
    request.spec.training.sft.learning_rate = -2.0
    async with (
        running(orchestrator(tmp_path)) as address,
        client.channel(address, token=read_token(tmp_path / "token")) as channel,
    ):
        with pytest.raises(errors.InvalidInput) as caught:
            await rpc.OrchestratorStub(channel).CreateRun(request)
    fields = {violation.field for violation in caught.value.violations}
    assert {"spec.training.sft.rank", "spec.training.sft.learningRate"} <= fields


async def test_each_message_of_a_request_stream_is_checked(tmp_path: Path) -> None:
    seen: list[str] = []

    async def upload(requests: Any, call: Any) -> Any:
        async for request in requests:
            seen.append(request.name)
        return Text()

    def add(server: grpc.aio.Server) -> None:
        handler = grpc.stream_unary_rpc_method_handler(upload, pb.GetRunRequest.FromString, Text.SerializeToString)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tests.Up", {"Load": handler}),))

    server = Server(name="up", settings=settings(tmp_path), add=add, service_names=("tests.Up",))
    async with (
        running(server) as address,
        client.channel(address, token=read_token(tmp_path / "token")) as channel,
    ):
        load_all: Any = channel.stream_unary(
            "/tests.Up/Load",
            request_serializer=pb.GetRunRequest.SerializeToString,
            response_deserializer=Text.FromString,
        )
        with pytest.raises(errors.InvalidInput, match="name"):
            await load_all(_requests("first", "", "third"))
    assert seen == ["first"]


async def _requests(*names: str) -> Any:
    for name in names:
        yield pb.GetRunRequest(name=name)


async def test_reflection_shows_the_contract_without_a_token(tmp_path: Path) -> None:
    async with running(orchestrator(tmp_path)) as address, grpc.aio.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        questions = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=ORCHESTRATOR),
        ]
        listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(questions))]
    names = [service.name for service in listed.list_services_response.service]
    assert ORCHESTRATOR in names
    assert "grpc.health.v1.Health" in names
    file = FileDescriptorProto.FromString(described.file_descriptor_response.file_descriptor_proto[0])
    assert file.name == "posology/v1alpha1/orchestrator.proto"


async def test_run_and_trace_go_through_a_service_into_the_next(tmp_path: Path) -> None:
    async def tell(request: Any, call: Any) -> Any:
        return Text(value=f"{context.run_id.get()} {context.trace_id.get()}")

    async with running(echo_server(tmp_path / "inner", Get=tell)) as inner:
        token = read_token(tmp_path / "inner" / "token")
        async with client.channel(inner, token=token) as onward:

            async def pass_on(request: Any, call: Any) -> Any:
                return await Stub(onward).Get(request)

            async with (
                running(echo_server(tmp_path / "outer", Get=pass_on)) as outer,
                client.channel(outer, token=read_token(tmp_path / "outer" / "token")) as channel,
            ):
                context.run_id.set("namespaces/a/fineTuneRuns/b")
                context.trace_id.set("ab" * 16)
                said = (await Stub(channel).Get(Text())).value
                assert said == f"namespaces/a/fineTuneRuns/b {'ab' * 16}"


async def test_an_error_of_an_inner_service_keeps_its_class_and_words(tmp_path: Path) -> None:
    async def missing(request: Any, call: Any) -> Any:
        raise errors.NotFound("no artifact sha256:12")

    async with running(echo_server(tmp_path / "inner", Get=missing)) as inner:
        token = read_token(tmp_path / "inner" / "token")
        async with client.channel(inner, token=token) as onward:

            async def pass_on(request: Any, call: Any) -> Any:
                return await Stub(onward).Get(request)

            async with (
                running(echo_server(tmp_path / "outer", Get=pass_on)) as outer,
                client.channel(outer, token=read_token(tmp_path / "outer" / "token")) as channel,
            ):
                with pytest.raises(errors.NotFound, match=r"^no artifact sha256:12$"):
                    await Stub(channel).Get(Text())


async def test_nothing_of_the_one_who_starts_a_server_leaks_into_its_calls(tmp_path: Path) -> None:
    async def tell(request: Any, call: Any) -> Any:
        return Text(value=context.run_id.get())

    context.run_id.set("of the starter")
    async with running(echo_server(tmp_path, Get=tell)) as address:
        context.run_id.set("")
        async with client.channel(address, token=read_token(tmp_path / "token")) as channel:
            assert (await Stub(channel).Get(Text())).value == ""


async def test_connect_takes_address_token_and_tls_from_the_settings(tmp_path: Path) -> None:
    async with running(orchestrator(tmp_path)) as address:
        own = load(ServiceSettings, data_dir=tmp_path, orchestrator_address=address)
        async with client.connect(own, "orchestrator") as channel:
            assert (await rpc.OrchestratorStub(channel).GetRun(pb.GetRunRequest(name="a"))).name == "a"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and a second one that nobody knows."""
    folder = tmp_path_factory.mktemp("tls")
    return {name: path for who in ("own", "other") for name, path in _self_signed(folder, who).items()}


def _self_signed(folder: Path, who: str) -> dict[str, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = {f"{who}_cert": folder / f"{who}.crt", f"{who}_key": folder / f"{who}.key"}
    paths[f"{who}_cert"].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[f"{who}_key"].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def test_mutual_tls_lets_in_only_certificates_of_the_authority(
    tmp_path: Path, certificates: dict[str, Path]
) -> None:
    ours: dict[str, Any] = {
        "tls_cert_file": certificates["own_cert"],
        "tls_key_file": certificates["own_key"],
        "tls_ca_file": certificates["own_cert"],
    }
    stranger = ours | {"tls_cert_file": certificates["other_cert"], "tls_key_file": certificates["other_key"]}
    server = orchestrator(tmp_path, settings_=settings(tmp_path, **ours))
    async with running(server) as address:
        for tls, admitted in ((ours, True), (stranger, False)):
            own = load(ServiceSettings, data_dir=tmp_path, orchestrator_address=address, **tls)
            async with client.connect(own, "orchestrator") as channel:
                call = rpc.OrchestratorStub(channel).GetRun(pb.GetRunRequest(name="a"))
                if admitted:
                    assert (await call).name == "a"
                else:
                    with pytest.raises(errors.Unavailable, match="service orchestrator at"):
                        await call


async def test_health_needs_no_token(tmp_path: Path) -> None:
    async with running(orchestrator(tmp_path)) as address, grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", ORCHESTRATOR):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_an_exempt_method_has_an_anonymous_caller_and_the_others_none(tmp_path: Path) -> None:
    async def tell(request: Any, call: Any) -> Any:
        return Text(value=context.caller.get().subject)

    server = echo_server(tmp_path, Get=tell, Other=tell, exempt=("tests.Echo/Get",))
    async with running(server) as address, client.channel(address) as channel:
        assert (await Stub(channel).Get(Text())).value == "anonymous"
        with pytest.raises(errors.Unauthenticated):
            await Stub(channel).Other(Text())


async def test_another_scheme_of_authentication_fits_in(tmp_path: Path) -> None:
    class Header:
        async def authenticate(self, metadata: Any) -> context.Identity:
            if "x-user" not in metadata:
                raise errors.PermissionDenied("no user")
            return context.Identity(metadata["x-user"], groups=("pharmacists",))

    async def tell(request: Any, call: Any) -> Any:
        return Text(value=f"{context.caller.get().subject} {context.caller.get().groups}")

    server = echo_server(tmp_path, Get=tell, callers=Callers(Header()))
    async with running(server) as address, client.channel(address) as channel:
        told = await Stub(channel).Get(Text(), metadata=(("x-user", "maria"),))
        assert told.value == "maria ('pharmacists',)"
        with pytest.raises(errors.PermissionDenied, match="no user"):
            await Stub(channel).Get(Text())


async def test_a_sync_handler_is_a_defect_that_is_named(tmp_path: Path) -> None:
    def blocking(request: Any, call: Any) -> Any:
        return Text()

    async with (
        running(echo_server(tmp_path, Get=blocking)) as address,
        client.channel(address, token=read_token(tmp_path / "token")) as channel,
    ):
        with pytest.raises(errors.Internal, match="must be `async def`"):
            await Stub(channel).Get(Text())
