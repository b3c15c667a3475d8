"""Watch streams: whole, resumable, and ended by a drain."""

import asyncio
from itertools import pairwise

import pytest
from support.job_installation import Installation, events, finished, named, until

from posology.core import errors, telemetry
from posology.core.jobs import convert
from posology.core.jobs.domain import EventKind, State
from posology.core.jobs.service.jobs import Jobs

NAME = "namespaces/test/evaluations/a"


async def test_a_watch_goes_on_after_its_resume_token(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=30))
        await finished(jobs, NAME)
        whole = await events(jobs, NAME)
        for event in whole:
            assert await events(jobs, NAME, event.resume_token) == whole[whole.index(event) + 1 :]


async def test_watchers_in_another_process_see_the_same(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=30, pause=0.02))
    async with installation.process():
        one, two = await asyncio.gather(events(jobs, NAME), events(installation.jobs(), NAME))
    kept = [event for event in one if event.kind is not EventKind.PROGRESS]
    assert kept == [event for event in two if event.kind is not EventKind.PROGRESS]
    assert all(before.sequence < after.sequence for before, after in pairwise(one))


async def test_a_made_up_token_is_refused(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=1))
    with pytest.raises(errors.InvalidInput, match="resume_token"):
        await events(jobs, NAME, "-1")


async def test_watching_the_unknown_is_not_found(installation: Installation) -> None:
    with pytest.raises(errors.NotFound):
        await events(installation.jobs(), NAME)


async def test_every_event_has_its_message(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "odd"))
        job = await finished(jobs, NAME)
        messages = [convert.job_event_to_proto(event) for event in await events(jobs, NAME)]
    assert {message.WhichOneof("event") for message in messages} == {"status", "metric", "log"}
    last = messages[-1].status
    assert (last.artifact, last.reason) == (job.artifact, "done")
    assert convert.job_status_to_proto(job).artifact == job.artifact


async def test_jobs_and_queue_are_shown_as_gauges(installation: Installation) -> None:
    installation.concurrency = 0
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        await until(lambda: _shown(jobs) == (1, 1))


def _shown(jobs: Jobs) -> tuple[float | None, float | None]:
    """Jobs that wait, and the queue's length, of which a later look shows what this one missed."""
    jobs._reconciler._shown = float("-inf")
    return _gauge("posology_jobs", kind="count", state=State.PENDING), _gauge("posology_queue_length", queue="jobs")


def _gauge(name: str, **labels: str) -> float | None:
    return telemetry.REGISTRY.get_sample_value(name, {"service": "micro", **labels})
