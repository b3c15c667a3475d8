"""kill -9 of the service: workers go on, are found again, and nothing is done twice."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
from support.job_installation import FAST, Installation, events, finished, named, until

from posology.core.jobs.domain import EventKind, State
from posology.core.jobs.environment import SPEC_VARIABLE

NAME = "namespaces/test/evaluations/a"


async def test_a_restarted_service_adopts_the_running_worker(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=60, pause=0.05))
    async with installation.process() as service:
        await until(lambda: len(installation.began(NAME)) == 1)
        service.send_signal(signal.SIGKILL)
        await service.wait()
    await asyncio.sleep(1.0)  # the worker counts on while nobody listens
    async with installation.process():
        await until(lambda: _steps(installation) > 30)
        assert len(installation.began(NAME)) == 1
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 1, 0)
    found = [e.data["step"] for e in await events(jobs, NAME) if e.kind is EventKind.METRIC]
    assert found == list(range(60)), "what was measured meanwhile was sent later, once and in order"


async def test_a_worker_that_ended_meanwhile_still_delivers_its_result(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=10, pause=0.05))
    async with installation.process() as service:
        await until(lambda: len(installation.began(NAME)) == 1)
        service.kill()
        await service.wait()
    await until(lambda: _steps(installation) == 10)
    await asyncio.sleep(0.5)
    async with installation.process():
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize("seed", range(4))
async def test_killed_at_random_points_the_service_starts_no_second_worker(
    installation: Installation, seed: int
) -> None:
    chance = random.Random(seed)
    jobs = installation.jobs()
    names = [f"namespaces/test/evaluations/n{number}" for number in range(3)]
    for number in range(3):
        await jobs.create(named(f"n{number}", steps=20, pause=0.02, salt=str(number)))
    for _ in range(5):
        async with installation.process() as service:
            await installation.listening()
            await asyncio.sleep(chance.uniform(0.0, 0.8))
            assert _twice(installation) == []
            service.send_signal(signal.SIGKILL)
            await service.wait()
    async with installation.process():
        found = [await finished(jobs, name, within=60) for name in names]
    assert {job.state for job in found} == {State.SUCCEEDED}
    assert sum(job.failures for job in found) == 0
    assert len({job.artifact for job in found}) == 3


async def test_a_worker_started_but_not_written_down_is_found(installation: Installation) -> None:
    """As after a kill between the start of the process and the commit of its handle."""
    from sqlalchemy import update

    from posology.core.jobs.service import tables

    jobs = installation.jobs()
    await jobs.create(named("a", steps=100, pause=0.05))
    async with installation.process() as service:
        await until(lambda: len(installation.began(NAME)) == 1)
        service.kill()
        await service.wait()
    async with installation.db.begin() as tx:
        await tx.execute(update(tables.attempts).values(handle=None))
    async with installation.process():
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 1, 0)


async def test_a_worker_whose_service_stays_away_ends_and_its_work_is_not_lost(
    installation: Installation,
) -> None:
    installation.timing = replace(FAST, patience=1.0)
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=20, pause=0.05))
        await until(lambda: _steps(installation) > 1)
    await until(lambda: list(_workers(installation)) == [])
    assert (installation.root / "jobs/test.evaluations.a/1/exit").read_text() == "75"
    async with installation.serving() as jobs:
        job = await finished(jobs, NAME)
    assert (job.state, job.failures, job.attempt) == (State.SUCCEEDED, 0, 2)
    assert installation.began(NAME)[1][1] == 20


async def test_a_deliberate_end_checkpoints_the_workers_and_the_next_start_goes_on(
    installation: Installation,
) -> None:
    installation.keep_workers = False
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=40, pause=0.05))
        await until(lambda: _steps(installation) > 3)
    await until(lambda: list(_workers(installation)) == [], within=15)
    assert _steps(installation) < 40
    async with installation.serving() as jobs:
        job = await finished(jobs, NAME)
    assert (job.state, job.failures, job.attempt) == (State.SUCCEEDED, 0, 2)


def _steps(installation: Installation) -> int:
    path = installation.root / "jobs/test.evaluations.a/work/step"
    return int(path.read_text()) if path.exists() else 0


def _workers(installation: Installation) -> Iterator[str]:
    """The job folder of every worker process that runs."""
    for process in psutil.process_iter():
        try:
            spec = process.environ().get(SPEC_VARIABLE, "")
            if spec.startswith(str(installation.root)) and process.status() != psutil.STATUS_ZOMBIE:
                yield os.path.dirname(os.path.dirname(spec))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _twice(installation: Installation) -> list[str]:
    found = sorted(_workers(installation))
    return [job for job in set(found) if found.count(job) > 1]
