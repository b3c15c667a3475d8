"""kill -9, silence and crashes: another attempt goes on from the checkpoint, up to a limit."""

import asyncio
import os
import random
import signal
from dataclasses import replace

import psutil
import pytest
from support.job_installation import FAST, Installation, finished, named, until

from posology.core.jobs.domain import State

NAME = "namespaces/test/evaluations/a"


async def test_a_killed_worker_is_replaced_and_goes_on(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=30, pause=0.05))
        await until(lambda: (installation.root / "jobs/test.evaluations.a/work/step").exists())
        await asyncio.sleep(0.3)
        os.kill(installation.began(NAME)[0][2], signal.SIGKILL)
        await until(lambda: len(installation.began(NAME)) == 2)
        (_, first, _), (attempt, second, _) = installation.began(NAME)
        job = await finished(jobs, NAME)
    assert (first, attempt) == (0, 2)
    assert second > 0
    assert (job.state, job.failures) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize("seed", range(3))
async def test_killed_at_random_points_it_publishes_the_same(installation: Installation, seed: int) -> None:
    generous = replace(installation.command, retry=replace(installation.command.retry, failures=1000))
    installation.command = generous
    chance = random.Random(seed)
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=20, pause=0.02))
        killing = asyncio.create_task(_kill_now_and_then(installation, chance, times=4))
        job = await finished(jobs, NAME, within=60)
        killing.cancel()
    assert job.state is State.SUCCEEDED
    assert installation.store.manifest(job.artifact).parameters == {"steps": 20}


async def _kill_now_and_then(installation: Installation, chance: random.Random, *, times: int) -> None:
    """Kill whatever worker runs, at any point of its life, its start included."""
    for _ in range(times):
        await asyncio.sleep(chance.uniform(0.05, 1.5))
        for process in psutil.Process().children():
            if "micro_worker" in process.cmdline():
                process.kill()


async def test_a_worker_that_always_dies_is_given_up_with_the_reason(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "die", until=100))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures) == (State.FAILED, 3, 3)
    assert "gave up after 3 failed attempts" in job.reason
    assert "killed by signal 9" in job.reason


async def test_a_worker_that_died_twice_may_still_succeed(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "die", until=3, steps=1))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures, job.error) == (State.SUCCEEDED, 3, 2, None)


async def test_a_silent_worker_is_fenced_killed_and_replaced(installation: Installation) -> None:
    installation.timing = replace(FAST, silence=3.0)
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=30, pause=0.05))
        await until(lambda: len(installation.began(NAME)) == 1)
        pid = installation.began(NAME)[0][2]
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: len(installation.began(NAME)) == 2)
        assert not psutil.pid_exists(pid)
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 1)
