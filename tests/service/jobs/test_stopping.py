"""SIGTERM and cancellation."""

import asyncio
import os
import signal
from itertools import pairwise

import psutil
import pytest
from support.job_installation import Installation, finished, named, until

from posology.core import audit, errors
from posology.core.jobs.domain import State

NAME = "namespaces/test/evaluations/a"


async def test_sigterm_checkpoints_and_costs_no_failure(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=40, pause=0.05))
        for _ in range(4):  # more often than the job may fail
            known = len(installation.began(NAME))
            await until(lambda: len(installation.began(NAME)) > known)  # noqa: B023 - called at once
            await asyncio.sleep(0.2)
            os.kill(installation.began(NAME)[-1][2], signal.SIGTERM)
        await until(lambda: len(installation.began(NAME)) == 5)
        begins = [first for _, first, _ in installation.began(NAME)]
        job = await finished(jobs, NAME)
    assert begins == sorted(begins)
    assert begins[-1] > 0
    assert (job.state, job.failures, job.attempt) == (State.SUCCEEDED, 0, 5)
    assert (installation.root / "jobs/test.evaluations.a/1/exit").read_text() == "143"


async def test_cancelling_ends_the_worker_and_removes_its_files(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1000, pause=0.05))
        await until(lambda: len(installation.began(NAME)) == 1)
        pid = installation.began(NAME)[0][2]
        assert (await jobs.cancel(NAME)).state is State.CANCELLING
        job = await finished(jobs, NAME)
        assert job.state is State.CANCELLED
        await until(lambda: not psutil.pid_exists(pid))
        await until(lambda: not (installation.root / "jobs/test.evaluations.a/work").exists())
    assert (installation.root / "jobs/test.evaluations.a/1/worker.log").exists()
    assert list(installation.store.list()) == []
    async with installation.db.read() as tx:
        actions = [entry.action async for entry in audit.entries(tx, subject=NAME)]
    assert actions == ["job.created", "job.cancel", "job.cancelled"]


async def test_a_deaf_worker_and_its_children_are_killed_after_the_grace(installation: Installation) -> None:
    child = installation.root / "jobs/test.evaluations.a/work/child"
    async with installation.serving() as jobs:
        await jobs.create(named("a", "deaf"))
        await until(child.exists)
        pid = int(child.read_text())
        await jobs.cancel(NAME)
        job = await finished(jobs, NAME)
        await until(lambda: not psutil.pid_exists(pid))
    assert job.state is State.CANCELLED


async def test_a_waiting_job_is_cancelled_at_once_and_never_starts(installation: Installation) -> None:
    jobs = installation.jobs()
    await jobs.create(named("a", steps=1))
    assert (await jobs.cancel(NAME)).state is State.CANCELLED
    async with installation.serving():
        await asyncio.sleep(0.5)
    assert (await jobs.get(NAME)).attempt == 0


async def test_cancelling_what_is_over_changes_nothing(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        before = await finished(jobs, NAME)
        assert (await jobs.cancel(NAME)).state is before.state is State.SUCCEEDED


async def test_cancelling_the_unknown_is_not_found(installation: Installation) -> None:
    with pytest.raises(errors.NotFound):
        await installation.jobs().cancel(NAME)


async def test_no_more_run_at_once_than_allowed_and_the_oldest_comes_first(installation: Installation) -> None:
    installation.concurrency = 1
    async with installation.serving() as jobs:
        for number in range(3):
            await jobs.create(named(f"n{number}", steps=3, pause=0.1))
        found = [await finished(jobs, f"namespaces/test/evaluations/n{number}") for number in range(3)]
    for earlier, later in pairwise(found):
        assert later.started_at is not None
        assert earlier.started_at is not None
        assert (later.started_at - earlier.started_at).total_seconds() > 0.3
