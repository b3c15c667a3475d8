"""From progress to an estimate of the time left."""

import time
from collections.abc import Callable


class EtaEstimator:
    """Seconds per unit since the first report of this attempt, so that resumed work does not look fast."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, float, float] | None = None

    def eta(self, done: float, total: float) -> float | None:
        """Seconds to the end; None before there is a pace, and again after a new phase began."""
        time_now = self._clock()
        if self._first is None or done < self._first[1] or total != self._first[2]:
            self._first = (time_now, done, total)
        began, first, _ = self._first
        if done <= first or total < done:
            return None
        return (time_now - began) / (done - first) * (total - done)
