"""A report of a run under way takes what is there: it waits neither for a quiet job nor for a busy one to end."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from posology.cli.report import decode, gathering
from posology.client import Client
from posology.v1alpha1.job_pb2 import JobEvent, Metric


class Informer:
    """A client whose jobs measure every `pause` seconds, for ever."""

    def __init__(self, pause: float) -> None:
        self.pause = pause

    async def job_events(self, _: str) -> AsyncIterator[JobEvent]:
        step = 0
        while True:
            yield JobEvent(metric=Metric(step=step, values={"loss": 1 / (step + 1)}))
            step += 1
            await asyncio.sleep(self.pause)


@pytest.mark.parametrize("pause", [0.001, 60.0])
async def test_reading_ends_while_the_job_goes_on(pause: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(gathering, "LONGEST_SECONDS", 0.3)
    began = time.monotonic()
    events = await gathering.events_so_far(cast(Client, cast(Any, Informer(pause))), "job", ended=False)
    assert events
    assert time.monotonic() - began < 5


def test_what_a_resumed_attempt_repeats_replaces_what_was_there() -> None:
    events = [
        JobEvent(metric=Metric(step=step, values={"loss": loss})) for step, loss in [(1, 3.0), (2, 9.0), (2, 2.0)]
    ]
    events.append(JobEvent(metric=Metric(step=2, values={"eval_loss": 2.5})))
    curve = decode.curve(events)
    assert [point.step for point in curve] == [1, 2]
    assert dict(curve[1].values) == {"loss": 2.0, "eval_loss": 2.5}
