"""What the operator must remember beyond its own life: up to which run all are shown, and what is still to cancel.

It lies on the lease, which each leader reads when it begins; a database of its own would be one too many.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from posology.core.kube import Lease
from posology.operator.domain import Claim

_SHOWN = "posology.dev/shown-until"
_CANCELS = "posology.dev/to-cancel"

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Notes:
    """Read with `load` when leadership begins; every change is stored before it counts."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.shown_until = _BEGINNING
        """Every run created before has, or had, its resource."""
        self.cancels: tuple[Claim, ...] = ()
        """Runs whose resources are gone, and that the orchestrator still has to be told to cancel."""

    async def load(self) -> None:
        """What the leader before left."""
        annotations = await self._lease.annotations()
        self.shown_until = datetime.fromisoformat(annotations[_SHOWN]) if _SHOWN in annotations else _BEGINNING
        self.cancels = tuple(Claim(**claim) for claim in json.loads(annotations.get(_CANCELS, "[]")))

    async def show_until(self, at: datetime) -> None:
        """Every run created before `at` has its resource now."""
        if at > self.shown_until:
            await self._lease.note({_SHOWN: at.isoformat()})
            self.shown_until = at

    async def add_cancel(self, claim: Claim) -> None:
        """One more to cancel."""
        await self._store((*self.cancels, claim))

    async def cancelled(self, claim: Claim) -> None:
        """One less."""
        await self._store(tuple(other for other in self.cancels if other != claim))

    async def _store(self, claims: tuple[Claim, ...]) -> None:
        await self._lease.note({_CANCELS: json.dumps([asdict(claim) for claim in claims])})
        self.cancels = claims
