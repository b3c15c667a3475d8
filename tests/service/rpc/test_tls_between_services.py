"""Services show each other certificates of one authority; what doesn't fit is refused, and it is said what to mend."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.certificates import Authority
from support.rpc_example import Stub, Text, echo_server, settings

from posology.core.errors import Unavailable
from posology.core.rpc import client, context
from posology.core.rpc.auth import read_token
from posology.core.rpc.server import running, start
from posology.core.rpc.tls import Files
from posology.core.settings import ServiceSettings, load


async def tell(request: Any, call: Any) -> Any:
    return Text(value=request.value)


async def count(request: Any, call: Any) -> AsyncIterator[Any]:
    number = 0
    while not await context.pause(0.05):
        yield Text(value=str(number))
        number += 1


@asynccontextmanager
async def serving(folder: Path, tls: dict[str, Any], **overrides: Any) -> AsyncIterator[str]:
    """The address of a server with these certificates."""
    given = settings(folder, **tls, **overrides)
    async with running(echo_server(folder, settings_=given, Get=tell, Watch=count)) as address:
        yield address


@asynccontextmanager
async def calling(folder: Path, address: str, **tls: Any) -> AsyncIterator[Stub]:
    """A stub of a process with these certificates."""
    own = load(ServiceSettings, data_dir=folder, **tls)
    token = read_token(own.token_file)
    async with client.channel(address, token=token, service="orchestrator", files=Files.of(own)) as channel:
        yield Stub(channel)


async def refused(folder: Path, address: str, **tls: Any) -> str:
    """What a caller with these certificates is told."""
    async with calling(folder, address, **tls) as stub:
        with pytest.raises(Unavailable) as error:
            await stub.Get(Text(), timeout=10)
    return error.value.message


async def test_certificates_of_one_authority_fit(tmp_path: Path) -> None:
    authority = Authority()
    client_files = authority.write(tmp_path / "client", "worker")
    async with (
        serving(tmp_path, authority.write(tmp_path / "server")) as address,
        calling(tmp_path, address, **client_files) as stub,
    ):
        assert (await stub.Get(Text(value="hello"))).value == "hello"


async def test_what_does_not_fit_is_refused_and_said(tmp_path: Path) -> None:
    ours, theirs = Authority(), Authority()
    mine = ours.write(tmp_path / "mine", "worker")
    stranger = theirs.write(tmp_path / "stranger", "worker")
    async with serving(tmp_path, ours.write(tmp_path / "server")) as address:
        where = f"service orchestrator at {address} can't be called: "
        assert await refused(tmp_path, address, **stranger) == (
            f"{where}its certificate is of an authority that POSOLOGY_TLS_CA_FILE does not hold"
        )
        theirs.trust(tmp_path / "stranger", ours)
        assert "our certificate is of an authority that it does not trust" in await refused(
            tmp_path, address, **stranger
        )
        late = ours.write(tmp_path / "late", "worker", expired=True)
        assert "it hung up on our certificate, which expired at" in await refused(tmp_path, address, **late)
        assert "it wants a certificate: set POSOLOGY_TLS_CERT_FILE" in await refused(
            tmp_path, address, tls_ca_file=mine["tls_ca_file"]
        )
        assert "it wants TLS: set POSOLOGY_TLS_CA_FILE" in await refused(tmp_path, address)


@pytest.mark.parametrize(
    ("names", "expired", "said"),
    [
        (("127.0.0.1",), True, "its certificate has expired; renew it"),
        (("another.host",), False, "is not for the name in this address; see POSOLOGY_ORCHESTRATOR_ADDRESS"),
        (None, False, "it speaks no TLS; give it a certificate"),
    ],
)
async def test_what_is_wrong_with_a_server_is_said(
    tmp_path: Path, names: tuple[str, ...] | None, expired: bool, said: str
) -> None:
    authority = Authority()
    tls = authority.write(tmp_path / "server", *names, expired=expired) if names else {}
    async with serving(tmp_path, tls) as address:
        assert said in await refused(tmp_path, address, **authority.write(tmp_path / "mine", "worker"))


async def test_renewed_certificates_are_taken_up_while_streams_go_on(tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    server, mine = old.write(tmp_path / "server"), old.write(tmp_path / "mine", "worker")
    async with serving(tmp_path, server) as address, calling(tmp_path, address, **mine) as stub:
        stream = stub.Watch(Text())
        first = int((await stream.read()).value)
        # As an authority is replaced: first everybody trusts both, then everybody gets a certificate of the new one.
        for folder in (tmp_path / "server", tmp_path / "mine"):
            old.trust(folder, new)
        await asyncio.sleep(1.2)
        assert (await stub.Get(Text(value="trusts both"))).value == "trusts both"
        for folder, names in ((tmp_path / "server", ()), (tmp_path / "mine", ("worker",))):
            new.write(folder, *names)
        await asyncio.sleep(1.2)
        assert (await stub.Get(Text(value="of the new"))).value == "of the new"
        assert int((await stream.read()).value) > first, "the stream began before and goes on"
        assert "does not hold" in await refused(tmp_path, address, **old.write(tmp_path / "late", "worker"))
        stream.cancel()


async def test_probes_without_a_certificate_learn_whether_calls_are_taken(tmp_path: Path) -> None:
    given = settings(tmp_path, **Authority().write(tmp_path / "server"))
    async with AsyncExitStack() as stack:
        started = await start(echo_server(tmp_path, settings_=given, Get=tell), stack)
        async with httpx.AsyncClient(base_url=f"http://{started.metrics}") as http:
            assert (await http.get("/ready")).status_code == 200
            assert "posology_rpc_calls" in (await http.get("/metrics")).text
            await started.drain()
            assert (await http.get("/ready")).status_code == 503


async def test_a_certificate_that_can_t_be_read_leaves_the_last_one_in_force(tmp_path: Path) -> None:
    authority = Authority()
    tls = authority.write(tmp_path / "server")
    async with serving(tmp_path, tls) as address:
        tls["tls_key_file"].unlink()
        async with calling(tmp_path, address, **authority.write(tmp_path / "mine", "worker")) as stub:
            assert (await stub.Get(Text(value="still there"))).value == "still there"
            (tmp_path / "mine" / "tls.crt").unlink()
            await asyncio.sleep(1.2)
            assert (await stub.Get(Text(value="still here"))).value == "still here"
