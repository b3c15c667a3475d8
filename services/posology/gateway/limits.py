"""How much one key may ask for: requests per minute and requests at once, counted per gateway process."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from posology.gateway.domain import ApiKey, KeyLimits, RateLimited


@dataclass
class _Use:
    tokens: float
    at: float
    running: int = 0


class Limiter:
    """A bucket per key that refills evenly; a key's own limits win over the gateway's. 0 is no limit."""

    def __init__(self, defaults: KeyLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._defaults = defaults
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    @contextmanager
    def admit(self, key: ApiKey) -> Iterator[Mapping[str, str]]:
        """Count one request while the block runs and give its rate headers; RateLimited when it is too many."""
        rate, most = self._limits(key)
        use = self._refilled(key.id, rate)
        if most and use.running >= most:
            raise RateLimited(f"this key already runs {most} requests at once", retry_after=1)
        if rate and use.tokens < 1:
            wait = math.ceil((1 - use.tokens) * 60 / rate)
            raise RateLimited(f"this key may ask {rate} times a minute", retry_after=wait)
        use.tokens -= 1
        use.running += 1
        try:
            yield _headers(rate, use)
        finally:
            use.running -= 1

    def _limits(self, key: ApiKey) -> tuple[int, int]:
        own, default = key.limits, self._defaults
        return (
            own.requests_per_minute or default.requests_per_minute,
            own.concurrent_requests or default.concurrent_requests,
        )

    def _refilled(self, key_id: str, rate: int) -> _Use:
        now = self._clock()
        use = self._uses.setdefault(key_id, _Use(tokens=rate, at=now))
        use.tokens = min(rate, use.tokens + (now - use.at) * rate / 60)
        use.at = now
        return use


def _headers(rate: int, use: _Use) -> Mapping[str, str]:
    """OpenAI's names for what is left; none where nothing is limited."""
    if not rate:
        return {}
    return {"x-ratelimit-limit-requests": str(rate), "x-ratelimit-remaining-requests": str(int(use.tokens))}
