"""The shape of every controller: one round that makes things true, done again and again.

A round (`reconcile_once`) looks at what is, not at what happened, so it may come too often or be lost: that makes a
controller safe to kill, to wake and to run on several replicas. Stopped by cancelling its task.
"""

import logging
from collections.abc import Awaitable, Callable

from posology.core.errors import PosologyError, Retryable
from posology.core.notifications import Signal
from posology.core.retries import Backoff

log = logging.getLogger("posology.controllers")

Round = Callable[[], Awaitable[float | None]]
"""Seconds until the next round, 0 for at once; None for the usual interval."""


class ControlLoop:
    """Runs rounds. What is expected to pass (`survives`) is logged and tried again; anything else ends the loop."""

    def __init__(
        self,
        name: str,
        reconcile_once: Round,
        *,
        interval: float,
        wake: Signal | None = None,
        backoff: Backoff | None = None,
        survives: type[Exception] | tuple[type[Exception], ...] = Retryable,
    ) -> None:
        """`interval` in seconds; `wake` cuts it short; `backoff` takes its place after a round that failed."""
        self._name = name
        self._reconcile_once = reconcile_once
        self._interval = interval
        self._wake = wake or Signal()
        self._backoff = backoff
        self._survives = survives
        self._failures = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            since = self._wake.count  # before the round: what changes during it asks for another
            pause = await self._round()
            if pause > 0:
                await self._wake.wait(since, within=pause)

    def progressed(self) -> None:
        """For rounds that follow a stream: it flows, so what fails next is the first failure."""
        self._failures = 0

    async def _round(self) -> float:
        try:
            pause = await self._reconcile_once()
        except self._survives as error:
            self._failures += 1
            self._log(error)
            return self._interval if self._backoff is None else self._backoff.pause(self._failures)
        self._failures = 0
        return self._interval if pause is None else pause

    def _log(self, error: Exception) -> None:
        """The first failure in a row is worth a warning; that it lasts is no news."""
        if not isinstance(error, PosologyError):
            log.error("%s: a defect; tried again", self._name, exc_info=error)
            return
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        log.log(level, "%s: tried again: %s", self._name, error.message)
