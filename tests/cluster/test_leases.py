"""One leader at a time: handed over at once when it leaves, after a while when it vanishes."""

import asyncio
from contextlib import suppress

import pytest

from posology.core.kube import Kube, Lease

pytestmark = pytest.mark.cluster


class Contenders:
    """Leaders that note when they work."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.working: list[str] = []
        self.most = 0

    def start(self, identity: str) -> "asyncio.Task[None]":
        lease = Lease(self.kube, self.namespace, "one", identity, seconds=1.0)
        return asyncio.create_task(lease.lead(lambda: self._work(identity)))

    async def _work(self, identity: str) -> None:
        self.working.append(identity)
        self.most = max(self.most, len(self.working))
        try:
            await asyncio.Event().wait()
        finally:
            self.working.remove(identity)

    async def until(self, identity: str, *, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while self.working != [identity]:
                await asyncio.sleep(0.02)


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_leader_that_leaves_hands_over_and_there_never_are_two(kube: Kube, namespace: str) -> None:
    contenders = Contenders(kube, namespace)
    first = contenders.start("first")
    await contenders.until("first", seconds=5)
    second = contenders.start("second")
    await asyncio.sleep(1.5)
    assert contenders.working == ["first"], "it renews"
    await end(first)
    await contenders.until("second", seconds=1)
    await end(second)
    assert contenders.most == 1


async def test_a_leader_that_vanished_is_replaced_when_its_lease_ran_out(kube: Kube, namespace: str) -> None:
    vanished = Lease(kube, namespace, "one", "vanished", seconds=1.0)
    assert await vanished._acquire()
    contenders = Contenders(kube, namespace)
    heir = contenders.start("heir")
    await asyncio.sleep(0.5)
    assert contenders.working == []
    await contenders.until("heir", seconds=5)
    await end(heir)


async def test_work_that_fails_is_taken_up_again(kube: Kube, namespace: str) -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        raise ValueError("a defect")

    leading = asyncio.create_task(Lease(kube, namespace, "one", "it", seconds=1.0).lead(work))
    async with asyncio.timeout(10):
        while tries < 2:
            await asyncio.sleep(0.05)
    await end(leading)


async def test_what_a_leader_noted_is_there_for_the_next(kube: Kube, namespace: str) -> None:
    lease = Lease(kube, namespace, "one", "first", seconds=1.0)
    assert await lease._acquire()
    await lease.note({"posology.dev/x": "1"})
    assert await lease._renew()
    assert (await Lease(kube, namespace, "one", "second").annotations())["posology.dev/x"] == "1"
