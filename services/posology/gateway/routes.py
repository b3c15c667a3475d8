"""The routes in force: one snapshot, replaced whole, and a way to wait for the next."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from posology.core.notifications import Signal
from posology.gateway.domain import Backend, Endpoint, Route, Snapshot


class Routes:
    """Holds the last snapshot; while the serving service is away, the last one stays in force."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot or Snapshot()
        self._changed = Signal()

    @property
    def current(self) -> Snapshot:
        return self._snapshot

    def replace(self, snapshot: Snapshot) -> None:
        """Put it in force, and wake who waits for it."""
        self._snapshot = snapshot
        self._changed.notify()

    async def changed(self, since: Snapshot, *, within: float) -> bool:
        """Wait until another snapshot than `since` is in force; False after `within` seconds."""
        if self._snapshot is not since:
            return True
        return await self._changed.wait(self._changed.count, within=within)


class Balance:
    """Sends each request to the engine with the fewest running ones."""

    def __init__(self, *, draw: random.Random | None = None) -> None:
        self._running: Counter[str] = Counter()
        self._draw = draw or random.Random()

    def order(self, route: Route, *, user: str = "") -> Iterator[tuple[Backend, Endpoint]]:
        """Engines to try, best first: those of the deployment drawn by weight, then the others'."""
        for backend in self._backends(route, user):
            shuffled = self._draw.sample(backend.endpoints, len(backend.endpoints))
            for endpoint in sorted(shuffled, key=lambda e: self._running[e.url]):
                yield backend, endpoint

    def _backends(self, route: Route, user: str) -> list[Backend]:
        ready = [b for b in route.backends if b.endpoints]
        drawn = _by_weight(ready, self._point(route, user))
        return [] if drawn is None else [drawn, *(b for b in ready if b is not drawn)]

    def _point(self, route: Route, user: str) -> float:
        """Where in [0, 1) the draw falls; one user always falls on one side of a canary."""
        if not user:
            return self._draw.random()
        seed = f"{route.namespace}/{route.model}/{user}".encode()
        return int.from_bytes(hashlib.sha256(seed).digest()[:8]) / 2**64

    @contextmanager
    def running(self, endpoint: Endpoint) -> Iterator[None]:
        """Count a request against its engine while the block runs."""
        self._running[endpoint.url] += 1
        try:
            yield
        finally:
            self._running[endpoint.url] -= 1
            if not self._running[endpoint.url]:
                del self._running[endpoint.url]


def _by_weight(backends: list[Backend], point: float) -> Backend | None:
    """The backend on which `point` of the summed weights falls; one without weight only if all are."""
    total = sum(b.weight for b in backends)
    if not total:
        return backends[0] if backends else None
    reached = 0.0
    for backend in backends:
        reached += backend.weight / total
        if point < reached:
            return backend
    return next(b for b in reversed(backends) if b.weight)
