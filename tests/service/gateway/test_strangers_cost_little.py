"""Whoever has no key, or spins a request out, is bounded in time and memory and hears one clear error."""

import asyncio
import json
from pathlib import Path

import pytest
from service.gateway.gateway_world import World, world

from posology.core.http_bounds import BoundedProtocol


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.5)
    monkeypatch.setattr(BoundedProtocol, "body_seconds", 1.5)
    monkeypatch.setattr(BoundedProtocol, "most_connections", 50)


class Raw:
    """A connection on which a test sends what it likes."""

    def __init__(self, gateway: World) -> None:
        self._address = gateway.gateway.http.url.removeprefix("http://").split(":")

    async def __aenter__(self) -> "Raw":
        self.reader, self.writer = await asyncio.open_connection(self._address[0], int(self._address[1]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def heard(self, seconds: float = 5) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


def error_of(response: bytes) -> tuple[bytes, str]:
    head, _, body = response.partition(b"\r\n\r\n")
    return head.split()[1], str(json.loads(body)["error"]["message"])


async def until_closed(raw: Raw, piece: bytes, *, pause: float) -> int:
    """How many pieces the server took before it closed."""
    for number in range(50_000):
        try:
            await raw.send(piece)
        except ConnectionError:
            return number
        await asyncio.sleep(pause)
        if raw.reader.at_eof():
            return number
    return 50_000


POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "endless",
    [b"X-%d: y\r\n", b"X: " + b"a" * 500, b"X" * 500, b"Cookie: a=%d\r\n", b"Authorization: Bearer %d\r\n"],
    ids=["many", "one long value", "one long name", "cookies", "keys"],
)
async def test_endless_headers_end(gateway: World, endless: bytes) -> None:
    async with Raw(gateway) as raw:
        sent = len(POST)
        await raw.send(POST)
        try:
            for number in range(20_000):
                piece = endless % number if b"%d" in endless else endless
                await raw.send(piece)
                sent += len(piece)
                if raw.reader.at_eof() or raw.reader._buffer:  # type: ignore[attr-defined]
                    break
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        assert sent < 1_000_000
        status, _ = error_of(await raw.heard())
        assert status in (b"431", b"408")  # whichever bound is met first, of bytes or of time
    assert (await gateway.chat()).status_code == 200


async def test_an_endless_url_ends(gateway: World) -> None:
    async with Raw(gateway) as raw:
        await raw.send(b"GET /" + b"a" * 200_000)
        assert (await raw.heard()).split()[1] in (b"431", b"400")


@pytest.mark.parametrize("start", [b"", b"P", POST, POST + b"X-Slow: "], ids=["silence", "a byte", "headers", "half"])
async def test_half_open_requests_end_by_themselves(gateway: World, start: bytes) -> None:
    async with Raw(gateway) as raw:
        if start:
            await raw.send(start)
        response = await raw.heard(3)
        assert response == b"" or response.split()[1] == b"408"


async def test_headers_that_drip_end_by_the_clock(gateway: World) -> None:
    async with Raw(gateway) as raw:
        await raw.send(POST)
        assert await until_closed(raw, b"X: y\r\n", pause=0.1) < 30


async def test_a_hundred_half_open_requests_keep_nobody_out(gateway: World) -> None:
    opened = [Raw(gateway) for _ in range(100)]
    for raw in opened:
        await raw.__aenter__()
    await asyncio.sleep(1)
    assert (await gateway.chat()).status_code == 200
    for raw in opened:
        raw.writer.close()


@pytest.mark.parametrize(
    "length", [b"Content-Length: 100000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
async def test_a_body_that_never_ends_is_408(tmp_path: Path, length: bytes) -> None:
    async with world(tmp_path, body_seconds=0.5) as gateway, Raw(gateway) as raw:
        await raw.send(POST + f"Authorization: Bearer {gateway.key}\r\n".encode() + length)
        async with asyncio.timeout(5):
            assert (await raw.reader.readuntil(b"\r\n\r\n")).split()[1] == b"408"


async def test_endless_trailers_end(gateway: World) -> None:
    async with Raw(gateway) as raw:
        await raw.send(POST + f"Authorization: Bearer {gateway.key}\r\n".encode())
        await raw.send(b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        # Pauses, since the server goes on reading for half a second after its answer, however fast one writes.
        assert await until_closed(raw, b"X: " + b"y" * 1000 + b"\r\n", pause=0.001) < 20_000


async def test_bodies_wait_for_a_key_s_turn(tmp_path: Path) -> None:
    async with world(tmp_path, concurrent_requests=1) as gateway:
        opened = [Raw(gateway) for _ in range(10)]
        head = POST + f"Authorization: Bearer {gateway.key}\r\nContent-Length: 900000\r\n\r\n{{".encode()
        statuses = []
        for raw in opened:
            await raw.__aenter__()
            await raw.send(head)
        for raw in opened:
            try:
                async with asyncio.timeout(0.3):
                    statuses.append((await raw.reader.readuntil(b"\r\n\r\n")).split()[1])
            except TimeoutError:
                statuses.append(b"reads")
        assert sorted(statuses) == [b"429"] * 9 + [b"reads"]
        for raw in opened:
            raw.writer.close()


async def test_without_a_key_no_body_is_read(gateway: World) -> None:
    async with Raw(gateway) as raw:
        await raw.send(POST + b"Content-Length: 900000\r\n\r\n{")
        async with asyncio.timeout(2):
            assert (await raw.reader.readuntil(b"\r\n\r\n")).split()[1] == b"401"
