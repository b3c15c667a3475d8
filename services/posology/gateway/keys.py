"""API keys: made once, shown once, stored as a hash."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from posology.gateway.domain import ApiKey, BadKey

_MARK = "posology"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_key_id() -> str:
    """Sixty random bits; part of the key, so that a lost key can be found by its first letters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def new_secret() -> str:
    """256 random bits: too many to guess, so a plain hash keeps them as well as a slow one."""
    return secrets.token_hex(32)


def key_text(key_id: str, secret: str) -> str:
    """What the client sends: `posology_<id>_<secret>`."""
    return f"{_MARK}_{key_id}_{secret}"


def prefix_of(key_id: str) -> str:
    """The part that people may see and compare."""
    return f"{_MARK}_{key_id}"


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def split(text: str) -> tuple[str, str]:
    """Key id and secret; BadKey when the text has another shape."""
    mark, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    if mark != _MARK or not key_id or not secret:
        raise BadKey("this is no API key of Posology; make one with `posology keys create NAME`")
    return key_id, secret


class Authenticator:
    """Tells who a key is; looks a key up again after `ttl` seconds, so a revoked one dies everywhere."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[ApiKey | None]],
        *,
        ttl: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._ttl = ttl
        self._clock = clock
        self._seen: dict[str, tuple[float, ApiKey]] = {}

    async def identify(self, authorization: str | None) -> ApiKey:
        """The key of an `Authorization: Bearer` header; BadKey says what is wrong with it."""
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise BadKey("send `Authorization: Bearer <API key>`; make one with `posology keys create NAME`")
        key_id, secret = split(text.strip())
        key = await self._lookup(key_id)
        # The same words for an unknown id and a wrong secret: a guesser learns nothing.
        if key is None or not hmac.compare_digest(key.secret_hash, hash_secret(secret)):
            raise BadKey("this API key is unknown")
        if (problem := key.problem(datetime.now(UTC))) is not None:
            raise BadKey(problem)
        return key

    def forget(self, key_id: str) -> None:
        """Drop what is remembered of a key, at once after it was revoked."""
        self._seen.pop(key_id, None)

    async def _lookup(self, key_id: str) -> ApiKey | None:
        remembered = self._seen.get(key_id)
        if remembered is not None and self._clock() - remembered[0] < self._ttl:
            return remembered[1]
        self._seen.pop(key_id, None)
        key = await self._find(key_id)
        if key is not None:
            self._seen[key_id] = (self._clock(), key)
        return key
