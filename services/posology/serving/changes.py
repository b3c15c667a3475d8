"""Who waits for news, and who asks for a look now: two conditions inside one process."""

import asyncio


class Changes:
    """`tell` wakes the watchers, `ask` wakes the controller; both also wake by themselves after a while."""

    def __init__(self) -> None:
        self._news = asyncio.Condition()
        self._count = 0
        self._wanted = asyncio.Event()

    @property
    def count(self) -> int:
        """How often something changed; pass it to `told`."""
        return self._count

    async def tell(self) -> None:
        async with self._news:
            self._count += 1
            self._news.notify_all()

    async def told(self, since: int, *, within: float) -> None:
        """Returns at the next change after `since`, or after `within` seconds: another replica may have made one."""
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: self._count != since)
        except TimeoutError:
            return

    def ask(self) -> None:
        self._wanted.set()

    async def asked(self, *, within: float) -> None:
        """Returns when somebody asks for a look, or after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._wanted.wait()
        except TimeoutError:
            return
        finally:
            self._wanted.clear()
