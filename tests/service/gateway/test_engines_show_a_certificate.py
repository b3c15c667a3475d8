"""What people ask travels from the gateway to an engine's agent over TLS, and to nobody else."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from service.gateway.gateway_world import World, world
from support.certificates import Authority

from posology.core import http_tls
from posology.core.rpc.tls import Files

NAME = "posology-engine.team-a.svc"


@asynccontextmanager
async def installation(folder: Path, agents: Authority | None = None, *names: str) -> AsyncIterator[World]:
    """Services with certificates of one authority, and agents with those of `agents` for `names`."""
    authority = Authority()
    tls = authority.write(folder / "services", "127.0.0.1")
    shown = (agents or authority).write(folder / "agents", *(names or (NAME,)))
    files = Files(certificate=shown["tls_cert_file"], key=shown["tls_key_file"])
    async with world(folder, tls=tls, agents_tls=files, engine_tls_name=NAME, patience_seconds=0.2) as built:
        yield built


async def test_a_question_reaches_an_engine_over_tls_whatever_its_address(tmp_path: Path) -> None:
    async with installation(tmp_path) as gateway:
        assert gateway.agents[0].url.startswith("https://127.0.0.1:")
        assert (await gateway.chat()).status_code == 200
        assert len(await gateway.stream(max_tokens=5)) == 6


async def test_whoever_stands_at_an_engine_s_address_with_another_certificate_hears_nothing(tmp_path: Path) -> None:
    async with installation(tmp_path, Authority()) as gateway:
        assert (await gateway.chat()).json()["error"]["code"] == "no_engine_ready"
        assert gateway.agents[0].engine.finished == 0


async def test_a_certificate_of_another_service_is_no_engine_s(tmp_path: Path) -> None:
    async with installation(tmp_path, None, "posology-catalog.team-a.svc", "127.0.0.1") as gateway:
        assert (await gateway.chat()).status_code == 503
        assert gateway.agents[0].engine.finished == 0


async def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_tls, "_LOOK_SECONDS", 0.05)
    async with installation(tmp_path) as gateway:
        streaming = asyncio.ensure_future(gateway.stream("[wait 0.02] hi", max_tokens=30))
        await gateway.until_busy()
        before, successor = await shown_by(gateway), Authority()
        successor.write(tmp_path / "agents", NAME)
        successor.write(tmp_path / "services", "127.0.0.1")
        async with asyncio.timeout(5):
            while await shown_by(gateway) == before:
                await asyncio.sleep(0.02)
            while await several(gateway) != {200}:
                await asyncio.sleep(0.02)
        assert len(await streaming) == 31


async def several(gateway: World) -> set[int]:
    """How requests at the same time end, for which new connections are needed."""
    found = await asyncio.gather(*(gateway.chat("[wait 0.02] hi") for _ in range(5)))
    return {response.status_code for response in found}


async def shown_by(gateway: World) -> str:
    """The certificate that a new connection to the first agent meets, as PEM."""
    address = urlsplit(gateway.agents[0].url)
    where = (str(address.hostname), int(address.port or 0))
    return await asyncio.to_thread(ssl.get_server_certificate, where)
