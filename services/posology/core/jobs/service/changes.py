"""Who waits for a change of a job in this process hears of it at once; others find it by polling."""

import asyncio
from collections import defaultdict


class Changes:
    """Wake-ups by job name; losing one costs no more than the poll interval."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._any = asyncio.Event()

    def tell(self, job: str) -> None:
        """This job changed."""
        self._any.set()
        for event in self._waiting.get(job, ()):
            event.set()

    def subscribe(self, job: str) -> asyncio.Event:
        """An event that is set whenever the job changes; hand it back to `forget`."""
        event = asyncio.Event()
        self._waiting[job].add(event)
        return event

    def forget(self, job: str, event: asyncio.Event) -> None:
        self._waiting[job].discard(event)
        if not self._waiting[job]:
            del self._waiting[job]

    async def wait_for_any(self, seconds: float) -> None:
        """Until some job changes, at most `seconds`."""
        try:
            await asyncio.wait_for(self._any.wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._any.clear()
