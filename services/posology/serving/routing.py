"""Where each model answers now: derived from the database, so that any replica of the service says the same."""

import time
from dataclasses import dataclass

from posology.core.store import Database
from posology.serving import repository
from posology.serving.domain import Deployment, Goal


@dataclass(frozen=True)
class Way:
    """One deployment that takes requests, and the agents that answer."""

    deployment: Deployment
    agents: tuple[str, ...]


@dataclass(frozen=True)
class Ways:
    """All of them at one moment; `version` rises with each change, also across restarts."""

    version: int
    ways: tuple[Way, ...]


class Routing:
    """Makes snapshots."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._last = Ways(0, ())

    async def snapshot(self) -> Ways:
        """The present ways; the same object as before when nothing changed."""
        async with self._db.read() as tx:
            deployments, replicas = await repository.live(tx), await repository.all_replicas(tx)
        ready = [r for r in replicas if r.answers]
        ways = tuple(
            Way(d, tuple(r.url for r in ready if r.deployment == d.name))
            for d in sorted(deployments, key=lambda d: d.name)
            if d.goal is Goal.SERVE and d.ready_at is not None
        )
        if not self._last.version or _shown(ways) != _shown(self._last.ways):
            # Microseconds of the clock: larger than what an earlier process gave, without a table for it.
            self._last = Ways(max(time.time_ns() // 1000, self._last.version + 1), ways)
        return self._last


def _shown(ways: tuple[Way, ...]) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [(w.deployment.name, w.deployment.token, w.deployment.traffic, w.agents) for w in ways]
