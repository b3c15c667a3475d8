"""Keeps the routes in step with the serving service, and holds the last ones while it is away."""

from posology.core.controllers import ControlLoop
from posology.core.errors import PosologyError
from posology.core.retries import Backoff
from posology.core.rpc.client import Channel
from posology.core.store import Database
from posology.gateway import metrics, snapshots
from posology.gateway.convert import snapshot_from_proto
from posology.gateway.routes import Routes
from posology.v1alpha1 import serving_pb2
from posology.v1alpha1.serving_pb2_grpc import ServingStub

_BACKOFF = Backoff(first=0.2, longest=2.0)


class RouteFeed:
    """Follows `WatchRoutes`; whatever happens to that stream, the gateway serves on."""

    def __init__(self, routes: Routes, db: Database, channel: Channel) -> None:
        self._routes = routes
        self._db = db
        self._serving = ServingStub(channel)
        self._loop = ControlLoop(
            "routes", self.reconcile_once, interval=_BACKOFF.first, backoff=_BACKOFF, survives=PosologyError
        )

    async def restore(self) -> None:
        """Put the snapshot of the last run in force, until the serving service says otherwise."""
        async with self._db.read() as tx:
            self._routes.replace(await snapshots.load(tx))
        metrics.ROUTES_STALE.set(1)

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._loop.run()

    async def reconcile_once(self) -> None:
        """Follow until the stream ends; the last routes serve on."""
        try:
            await self._follow()
        finally:
            metrics.ROUTES_STALE.set(1)

    async def _follow(self) -> None:
        async for table in self._serving.WatchRoutes(serving_pb2.WatchRoutesRequest()):
            snapshot = snapshot_from_proto(table)
            self._routes.replace(snapshot)
            self._loop.progressed()
            metrics.ROUTES_STALE.set(0)
            async with self._db.begin() as tx:
                await snapshots.save(tx, snapshot)
