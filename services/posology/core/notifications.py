"""Wake-ups inside one process. Losing one costs no more than a poll interval: other replicas' changes come that way."""

import asyncio
from weakref import WeakValueDictionary


class Signal:
    """Says that something changed. Whoever waits names the count that it has seen, so nothing falls between."""

    def __init__(self) -> None:
        self._count = 0
        self._next = asyncio.Event()

    @property
    def count(self) -> int:
        """How often it was notified; read it before you look at what changes."""
        return self._count

    def notify(self) -> None:
        """Wake everybody who waits. From the loop's own thread only."""
        self._count += 1
        event, self._next = self._next, asyncio.Event()
        event.set()

    async def wait(self, since: int, *, within: float) -> bool:
        """Until it was notified after `since`; False after `within` seconds without."""
        if self._count != since:
            return True
        try:
            async with asyncio.timeout(within):
                await self._next.wait()
        except TimeoutError:
            return False
        return True


class Signals:
    """A signal for each name, held only while somebody holds it, and one for all of them."""

    def __init__(self) -> None:
        self.any = Signal()
        self._of: WeakValueDictionary[str, Signal] = WeakValueDictionary()

    def of(self, name: str) -> Signal:
        """The signal of this name; keep it for as long as you wait."""
        return self._of.setdefault(name, Signal())

    def notify(self, name: str) -> None:
        """What has this name changed."""
        self.any.notify()
        if (signal := self._of.get(name)) is not None:
            signal.notify()
