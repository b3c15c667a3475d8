"""The one loop of every controller: woken, paced, patient with what passes, ended by what does not."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from posology.core.controllers import ControlLoop
from posology.core.errors import InvalidInput, Unavailable
from posology.core.notifications import Signal
from posology.core.retries import Backoff

LONG = 3600.0


class Rounds:
    """Rounds that do what the script says, then sleep for an hour."""

    def __init__(self, script: Iterable[float | Exception | None] = ()) -> None:
        self.script = list(script)
        self.count = 0

    async def __call__(self) -> float | None:
        self.count += 1
        step = self.script.pop(0) if self.script else LONG
        if isinstance(step, Exception):
            raise step
        return step


async def after(loop: ControlLoop, seconds: float = 0.1) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await loop.run()


async def test_rounds_come_at_the_interval_and_at_once_where_a_round_says_so() -> None:
    rounds = Rounds([0, 0, None])
    await after(ControlLoop("test", rounds, interval=0.01))
    assert rounds.count == 4


async def test_a_wake_up_cuts_the_pause_short() -> None:
    wake, rounds = Signal(), Rounds()
    running = asyncio.ensure_future(after(ControlLoop("test", rounds, interval=LONG, wake=wake)))
    await asyncio.sleep(0.02)
    wake.notify()
    await running
    assert rounds.count == 2


async def test_what_changes_during_a_round_asks_for_another() -> None:
    wake, seen = Signal(), []

    async def reconcile_once() -> None:
        seen.append(wake.count)
        if len(seen) == 1:
            wake.notify()

    await after(ControlLoop("test", reconcile_once, interval=LONG, wake=wake))
    assert seen == [0, 1]


async def test_what_passes_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds([Unavailable("the database is away")] * 3)
    with caplog.at_level(logging.WARNING, "posology.controllers"):
        await after(ControlLoop("runs", rounds, interval=0.001))
    assert rounds.count == 4
    assert [record.getMessage() for record in caplog.records] == ["runs: tried again: the database is away"]


@pytest.mark.parametrize("error", [ValueError("a defect"), InvalidInput("a wrong spec")])
async def test_what_does_not_pass_ends_the_loop(error: Exception) -> None:
    with pytest.raises(type(error)):
        await ControlLoop("test", Rounds([error]), interval=0).run()


async def test_a_loop_of_many_survives_a_defect_of_one_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds([KeyError("a defect")])
    await after(ControlLoop("jobs", rounds, interval=0.001, survives=Exception))
    assert rounds.count == 2
    assert caplog.records[0].exc_info


async def test_failures_back_off_and_progress_starts_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def wait(_: Signal, since: int, *, within: float) -> bool:
        pauses.append(within)
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(Signal, "wait", wait)
    script: list[Any] = [Unavailable("away")] * 3
    rounds = Rounds([*script, None, *script])

    async def reconcile_once() -> float | None:
        if rounds.count == 6:
            loop.progressed()  # a stream that flowed before it broke
        return await rounds()

    loop = ControlLoop("watch", reconcile_once, interval=0.5, backoff=Backoff(first=1, longest=60))
    with suppress(asyncio.CancelledError):
        running = asyncio.ensure_future(loop.run())
        while len(pauses) < 8:
            await asyncio.sleep(0)
        running.cancel()
        await running
    assert pauses[:8] == [1, 2, 4, 0.5, 1, 2, 1, LONG]
