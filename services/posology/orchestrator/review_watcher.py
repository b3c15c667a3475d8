"""Wakes runs whose reviews ended: one question to curation every few seconds, however many runs wait."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from posology.core.errors import Retryable
from posology.core.store import Database
from posology.core.times import to_timestamp
from posology.orchestrator import repository
from posology.orchestrator.clients import Clients
from posology.orchestrator.reconciler import Reconciler
from posology.v1alpha1 import curation_pb2

log = logging.getLogger("posology.orchestrator")
_OVERLAP = timedelta(minutes=5)
"""Clocks of two databases differ; a review seen twice wakes a run that goes back to sleep."""


@dataclass
class Waker:
    """The loop of one replica."""

    db: Database
    clients: Clients
    reconciler: Reconciler
    poll_seconds: float

    async def run(self) -> None:
        """Ask and wake until cancelled."""
        # What ended while this replica was away is found by the slow rhythm of paused runs, or here.
        since, known = datetime.now(UTC) - timedelta(hours=1), set[str]()
        while True:
            try:
                closed = await self._closed(since)
            except Retryable as error:
                log.debug("curation is away: %s", error.message)
            else:
                await self._wake(closed - known)
                since, known = datetime.now(UTC) - _OVERLAP, known | closed
            await asyncio.sleep(self.poll_seconds)

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
        self.reconciler.nudge()
