"""The small files of a model on a hub, and the headers of its large ones: nothing of the weights is read."""

import asyncio
import json
from types import TracebackType
from typing import Self

import httpx

from posology.core.errors import InvalidInput, NotFound, PermissionDenied, Unavailable, Violation
from posology.training.base_models import companions
from posology.training.base_models.locations import HubModel
from posology.training.planning import shapes

SECONDS = 5.0
LARGEST = 50_000_000
"""Bytes of one answer: configs and indexes are far smaller, headers are bounded by the format."""
AT_ONCE = 8
GUESS = 1 << 18
"""Bytes that a first look at a weight file takes; most headers are smaller, and the rest of a larger one follows."""
Header = dict[str, tuple[str, tuple[int, ...]]]


class NeedsToken(PermissionDenied):
    """The hub shows this repository only to whoever has accepted its licence."""


class SecretOutOfReach(NeedsToken):
    """The spec names the secret with the hub's token, and only workers hold it."""


class HubReader:
    """Reads one repository at one commit, as an async context."""

    def __init__(self, hub: str, source: HubModel, *, token: str | None, secret: str, at: str) -> None:
        self._base = f"{hub}/{source.repository}/resolve/{source.revision}/"
        self._source, self._secret, self._at = source, secret, at
        self._token = token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(timeout=SECONDS, follow_redirects=True, headers=headers)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def text(self, name: str) -> str:
        """A text file of the repository."""
        return (await self._get(name)).decode("utf-8", errors="replace")

    async def headers(self) -> list[Header]:
        """The headers of all weight files: those that the index names, or the one file."""
        try:
            index = json.loads(await self.text(companions.INDEX))
            names = sorted({str(name) for name in index["weight_map"].values()})
        except NotFound:
            names = ["model.safetensors"]
        except (ValueError, KeyError, TypeError, AttributeError):
            problem = f"{companions.INDEX} of {self._source.repository} is no index of weight files"
            raise InvalidInput.of([Violation(f"{self._at}.uri", problem)]) from None
        return list(await asyncio.gather(*map(self._header, names)))

    async def _header(self, name: str) -> Header:
        start = await self._get(name, 0, GUESS)
        length = int.from_bytes(start[:8], "little")
        if not 2 <= length <= shapes.LONGEST_HEADER:
            problem = f"{name} of {self._source.repository} is no safetensors file"
            raise InvalidInput.of([Violation(f"{self._at}.uri", problem)])
        if len(start) < 8 + length:
            start += await self._get(name, len(start), 8 + length)
        return shapes.parse_header(start[8 : 8 + length])

    async def _get(self, name: str, start: int = 0, end: int = 0) -> bytes:
        """A file, or its bytes from `start` to before `end`; a server that ignores ranges is read no further."""
        most = end - start if end else LARGEST
        headers = {"Range": f"bytes={start}-{end - 1}"} if end else {}
        received = bytearray()
        try:
            async with self._slots, self._client.stream("GET", self._base + name, headers=headers) as answer:
                self._check(name, answer.status_code)
                skip = start if end and answer.status_code == httpx.codes.OK else 0
                async for part in answer.aiter_bytes():
                    received += part
                    if len(received) >= skip + most:
                        break
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self._base}{name} cannot be read ({type(error).__name__}); give the text of config.json as "
                "config_json"
            ) from error
        if not end and len(received) >= LARGEST:
            raise InvalidInput.of([Violation(f"{self._at}.uri", f"{name} has {LARGEST:,} bytes or more")])
        return bytes(received[skip : skip + most])

    def _check(self, name: str, status: int) -> None:
        if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            return
        repository = f"hf://{self._source.repository}"
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            if self._secret and not self._token:
                raise SecretOutOfReach(
                    f"{repository} is gated or private, and only workers hold {self._secret}; memory, steps and time "
                    "are worked out once the model is imported"
                )
            reason = "it is gated or private; accept its licence on the hub and set credentialsSecret to its token"
            if self._token:
                reason = f"the token in {self._secret} has no access to it; accept its licence on the hub"
            raise NeedsToken(f"{repository}: {reason} (the hub answers {status})")
        if status == httpx.codes.NOT_FOUND:
            raise NotFound(f"{repository} has no {name} at {self._source.revision}, or it is private")
        raise Unavailable(f"{repository}: the hub answers {status} for {name}; try again later")
