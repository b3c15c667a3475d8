"""The connections behind a channel: one set as long as its certificates stay, a new one when they were renewed."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from posology.core.errors import FailedPrecondition
from posology.core.rpc.tls import Files

log = logging.getLogger("posology.tls")

_LOOK_SECONDS = 1.0
"""How often to look whether the files changed, at most."""
_GRACE_SECONDS = 600.0
"""How long calls over connections with an old certificate may go on; servers end connections earlier."""


class Connections:
    """Channels of grpc.aio to one address."""

    def __init__(self, address: str, files: Files, options: Sequence[tuple[str, Any]]) -> None:
        self._address = address
        self.files = files
        self._options = list(options)
        self._stamp = files.stamp()
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._current = self._open()
        self._leaving: set[asyncio.Task[None]] = set()

    def now(self) -> grpc.aio.Channel:
        """The channel for a new call."""
        if self.files.authorities is not None and time.monotonic() >= self._look_at:
            self._look()
        return self._current

    async def close(self, grace: float | None) -> None:
        """Close everything; running calls get `grace` seconds to finish."""
        for leaving in self._leaving:
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._current.close(grace)

    def _open(self) -> grpc.aio.Channel:
        credentials = self.files.channel()
        if credentials is None:
            return grpc.aio.insecure_channel(self._address, options=self._options)
        return grpc.aio.secure_channel(self._address, credentials, options=self._options)

    def _look(self) -> None:
        """Take up renewed files; half of a change is no change yet."""
        self._look_at = time.monotonic() + _LOOK_SECONDS
        try:
            stamp = self.files.stamp()
            if stamp == self._stamp:
                return
            renewed = self._open()
        except FailedPrecondition as error:
            log.warning("calling with the certificate as it was: %s", error.message)
            return
        self._leave(self._current)
        self._current, self._stamp = renewed, stamp
        log.info("calling with a renewed certificate", extra={"address": self._address})

    def _leave(self, old: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(old.close(_GRACE_SECONDS))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
