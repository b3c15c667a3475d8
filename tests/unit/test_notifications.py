"""Wake-ups inside one process: none is lost between looking and waiting, none is heard twice."""

import asyncio
import gc

from posology.core.notifications import Signal, Signals


async def test_a_change_between_the_look_and_the_wait_is_not_lost() -> None:
    signal = Signal()
    since = signal.count
    signal.notify()
    assert await signal.wait(since, within=0)


async def test_a_change_before_the_look_wakes_nobody() -> None:
    signal = Signal()
    signal.notify()
    assert not await signal.wait(signal.count, within=0.01)


async def test_one_change_wakes_everybody_who_waits_at_once() -> None:
    signal = Signal()
    waiting = [asyncio.ensure_future(signal.wait(0, within=30)) for _ in range(3)]
    await asyncio.sleep(0)
    signal.notify()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [True] * 3


async def test_who_gives_up_takes_no_wake_up_from_others() -> None:
    signal = Signal()
    patient, gone = (asyncio.ensure_future(signal.wait(0, within=30)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    signal.notify()
    assert await asyncio.wait_for(patient, 1)


async def test_a_named_change_wakes_its_followers_and_those_of_everything() -> None:
    signals = Signals()
    mine, other = signals.of("a"), signals.of("b")
    signals.notify("a")
    assert (mine.count, other.count, signals.any.count) == (1, 0, 1)
    assert signals.of("a") is mine


async def test_a_name_that_nobody_follows_costs_nothing() -> None:
    signals = Signals()
    signals.of("gone")
    gc.collect()
    signals.notify("gone")
    assert not signals._of
