"""How busy an engine is, and waiting until it is not."""

import asyncio
import re
import time
from dataclasses import dataclass

from posology.engine.reach import http_client

_GAUGE = re.compile(r"^vllm:num_requests_(running|waiting)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Load:
    """Requests that an engine holds now."""

    running: int
    waiting: int

    @property
    def idle(self) -> bool:
        return self.running + self.waiting == 0


def parse_load(metrics: str) -> Load:
    """The two gauges of vLLM's /metrics text, summed over its engines."""
    requests = {"running": 0, "waiting": 0}
    for kind, value in _GAUGE.findall(metrics):
        requests[kind] += int(float(value))
    return Load(**requests)


async def load(url: str) -> Load:
    """What the engine at `url` is doing; httpx.HTTPError when it does not answer."""
    async with http_client(url, timeout=5) as http:
        answer = await http.get("/metrics")
        answer.raise_for_status()
        return parse_load(answer.text)


async def drain(url: str, *, seconds: float = 60.0, quiet: float = 3.0, looks: int = 3) -> bool:
    """Wait until the engine was idle in `looks` looks in a row over at least `quiet` seconds.

    False when it is still busy after `seconds`. Only after True may SIGTERM follow: from then on vLLM answers
    new requests with 500, and a request that is on its way shows in no gauge, hence the quiet time.
    """
    deadline = time.monotonic() + seconds
    idle_since, idle_looks = None, 0
    while time.monotonic() < deadline:
        if (await load(url)).idle:
            idle_since, idle_looks = idle_since or time.monotonic(), idle_looks + 1
            if idle_looks >= looks and time.monotonic() - idle_since >= quiet:
                return True
        else:
            idle_since, idle_looks = None, 0
        await asyncio.sleep(quiet / looks / 2)
    return False
