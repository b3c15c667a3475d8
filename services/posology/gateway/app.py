"""The gateway's composition root: the OpenAI API over HTTP and `Gateway` over gRPC in one process."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import grpc.aio

from posology.core import http as core_http
from posology.core import http_tls
from posology.core.controllers import ControlLoop
from posology.core.files import write_atomically
from posology.core.rpc.client import connect
from posology.core.rpc.server import Server, launch, run
from posology.core.rpc.tls import Files
from posology.core.settings import load
from posology.core.store import Database
from posology.gateway import answers
from posology.gateway.answering import Answering
from posology.gateway.answers import AnswerLog
from posology.gateway.domain import KeyLimits
from posology.gateway.feed import RouteFeed
from posology.gateway.http import OpenAiApi
from posology.gateway.keyring import Keyring
from posology.gateway.keys import Authenticator
from posology.gateway.limits import Limiter, Limits, SharedLimiter
from posology.gateway.rights import RIGHTS
from posology.gateway.routes import Routes
from posology.gateway.servicer import GatewayServicer
from posology.gateway.settings import Settings
from posology.gateway.upstream import Upstream
from posology.v1alpha1.gateway_pb2_grpc import add_GatewayServicer_to_server

SERVICE = "posology.v1alpha1.Gateway"
_SWEEP_SECONDS = 600.0
log = logging.getLogger("posology.gateway")


@dataclass
class Gateway:
    """Everything that the process holds, put together."""

    settings: Settings
    db: Database
    door: OpenAiApi
    feed: RouteFeed
    log: AnswerLog
    servicer: GatewayServicer
    http: core_http.HttpServer

    def server(self) -> Server:
        """What the runner needs."""
        sweep = ControlLoop("lost and old answers", self._sweep, interval=_SWEEP_SECONDS)
        return Server(
            name="gateway",
            settings=self.settings,
            add=self._register,
            service_names=(SERVICE,),
            rights=RIGHTS,
            chains={self.settings.service: self.db},
            background=(self.log.run, self.feed.run, sweep.run),
            on_ready=(self._announce,),
            on_drain=(self._drain,),
        )

    def _register(self, server: grpc.aio.Server) -> None:
        add_GatewayServicer_to_server(self.servicer, server)

    async def _announce(self, _: str) -> None:
        """Say where HTTP listens, whole or not at all."""
        if self.settings.http_ready_file:
            write_atomically(Path(self.settings.http_ready_file), json.dumps({"url": self.http.url}))

    async def _drain(self) -> None:
        """Load balancers look away, new requests go elsewhere, running ones end, records are written."""
        self.door.leaving = True
        await asyncio.sleep(self.settings.leave_seconds)
        self.door.shut = True
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await self.door.drained()
                await self.http.stop()
        except TimeoutError:
            self.door.cut()
            await self.door.drained()
            await self.http.stop()

    async def _sweep(self) -> None:
        """Say LOST of answers that a dead gateway left running, and erase text that was kept long enough."""
        age = timedelta(seconds=2 * self.settings.answer_seconds)
        async with self.db.begin() as tx:
            await answers.mark_lost(tx, older_than=age)
            if self.settings.text_days:
                await answers.erase_text(tx, older_than=timedelta(days=self.settings.text_days))
        await self.db.forget()


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Gateway]:
    """The gateway with its database migrated, its last routes in force and HTTP listening."""
    async with AsyncExitStack() as stack:
        db = Database(settings.database_url, schema=settings.service)
        stack.push_async_callback(db.close)
        await db.migrate("posology.core.audit", "posology.gateway")
        routes, log, keyring = Routes(), AnswerLog(db), Keyring(db)
        keys = Authenticator(keyring.find)
        feed = RouteFeed(routes, db, await stack.enter_async_context(connect(settings, "serving")))
        await feed.restore()
        timeout = aiohttp.ClientTimeout(sock_connect=settings.connect_seconds, sock_read=settings.answer_seconds)
        upstream = Upstream(
            routes,
            await stack.enter_async_context(http_tls.session(Files.of(settings), timeout)),
            patience=settings.patience_seconds,
            longest=settings.max_tokens,
            tls_name=settings.engine_tls_name,
        )
        door = OpenAiApi(
            routes=routes,
            keys=keys,
            limiter=_limits(db, KeyLimits(settings.requests_per_minute, settings.concurrent_requests)),
            answering=Answering(upstream, log, keep_text=settings.keep_text, redact_text=settings.redact_text),
            body_seconds=settings.body_seconds,
            max_body_bytes=settings.max_body_bytes,
            max_choices=settings.max_choices,
        )
        http = await stack.enter_async_context(core_http.serving(door.app(), settings.http_listen))
        yield Gateway(settings, db, door, feed, log, GatewayServicer(db, keyring, keys), http)


def _limits(db: Database, defaults: KeyLimits) -> Limits:
    """A SQLite file has one gateway, which may count by itself; PostgreSQL is shared by all replicas."""
    return Limiter(defaults) if db.kind == "sqlite" else SharedLimiter(db, defaults)


async def serve() -> None:
    """Run until told to stop."""
    async with build(load(Settings)) as gateway:
        await run(gateway.server())


def main() -> None:
    """`python -m posology.gateway.app`."""
    launch(serve)


if __name__ == "__main__":
    main()
