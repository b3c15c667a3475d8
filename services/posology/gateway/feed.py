"""Keeps the routes in step with the serving service, and holds the last ones while it is away."""

import asyncio
import logging

from posology.core.errors import PosologyError
from posology.core.retries import Backoff
from posology.core.rpc.client import Channel
from posology.core.store import Database
from posology.gateway import metrics, snapshots
from posology.gateway.convert import snapshot_from_proto
from posology.gateway.routes import Routes
from posology.v1alpha1 import serving_pb2
from posology.v1alpha1.serving_pb2_grpc import ServingStub

log = logging.getLogger("posology.gateway")
_BACKOFF = Backoff(first=0.2, longest=2.0)


class RouteFeed:
    """Follows `WatchRoutes`; whatever happens to that stream, the gateway serves on."""

    def __init__(self, routes: Routes, db: Database, channel: Channel) -> None:
        self._routes = routes
        self._db = db
        self._serving = ServingStub(channel)
        self._failures = 0

    async def restore(self) -> None:
        """Put the snapshot of the last run in force, until the serving service says otherwise."""
        async with self._db.read() as tx:
            await self._routes.replace(await snapshots.load(tx))
        metrics.ROUTES_STALE.set(1)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except PosologyError as error:
                log.warning("no routes from the serving service, the last ones serve on: %s", error.message)
            metrics.ROUTES_STALE.set(1)
            self._failures += 1
            await asyncio.sleep(_BACKOFF.pause(self._failures))

    async def _follow(self) -> None:
        async for table in self._serving.WatchRoutes(serving_pb2.WatchRoutesRequest()):
            snapshot = snapshot_from_proto(table)
            await self._routes.replace(snapshot)
            self._failures = 0
            metrics.ROUTES_STALE.set(0)
            async with self._db.begin() as tx:
                await snapshots.save(tx, snapshot)
