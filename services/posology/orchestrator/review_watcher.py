"""Wakes runs whose reviews ended: one question to curation every few seconds, however many runs wait."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from posology.core.controllers import ControlLoop
from posology.core.store import Database
from posology.core.times import to_timestamp
from posology.orchestrator import repository
from posology.orchestrator.clients import Clients
from posology.orchestrator.reconciler import Reconciler
from posology.v1alpha1 import curation_pb2

_BEFORE = timedelta(hours=1)
"""What ended while this replica was away longer is found by the slow rhythm of paused runs."""
_OVERLAP = timedelta(minutes=5)
"""Clocks of two databases differ; a review seen twice wakes a run that goes back to sleep."""


@dataclass
class ReviewWatcher:
    """The loop of one replica."""

    db: Database
    clients: Clients
    reconciler: Reconciler
    poll_seconds: float
    _since: datetime = field(default_factory=lambda: datetime.now(UTC) - _BEFORE)
    _known: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Ask and wake until cancelled."""
        await ControlLoop("ended reviews", self.reconcile_once, interval=self.poll_seconds).run()

    async def reconcile_once(self) -> None:
        """Ask what ended since the last time, and wake its runs."""
        closed = await self._closed(self._since)
        await self._wake(closed - self._known)
        self._since, self._known = datetime.now(UTC) - _OVERLAP, self._known | closed

    async def _closed(self, since: datetime) -> set[str]:
        after = to_timestamp(since)
        names, token = set[str](), ""
        while True:
            request = curation_pb2.ListReviewsRequest(
                parent="namespaces/-", page_size=1000, page_token=token, ended_after=after
            )
            page = await self.clients.curation.ListReviews(request)
            names |= {review.name for review in page.reviews}
            token = page.next_page_token
            if not token:
                return names

    async def _wake(self, reviews: set[str]) -> None:
        if not reviews:
            return
        async with self.db.begin() as tx:
            await repository.wake(tx, await repository.uids_of_resources(tx, sorted(reviews)))
        self.reconciler.wake.notify()
