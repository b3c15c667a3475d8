"""What must know of an artifact knows it before the job succeeds."""

import asyncio
import shutil

from support.job_installation import Installation, finished, named

from posology.core import errors
from posology.core.jobs.domain import State
from posology.core.jobs.service.jobs import Published

NAME = "namespaces/test/evaluations/a"


async def test_a_hook_that_fails_is_called_again_until_it_works(installation: Installation) -> None:
    calls: list[Published] = []

    async def register(published: Published) -> None:
        calls.append(published)
        if len(calls) < 3:
            raise errors.Unavailable("the catalog is away")

    installation.on_published = register
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, NAME)
        reasons = [event.data["reason"] async for event in jobs.watch(NAME) if event.kind == "STATE"]
    assert job.state is State.SUCCEEDED
    assert {call.digest for call in calls} == {job.artifact}
    assert len(calls) == 3
    assert calls[0].manifest.kind == "evaluation"
    assert any("the catalog is away" in reason for reason in reasons)


async def test_a_service_that_died_while_publishing_finishes_it(installation: Installation) -> None:
    begun = asyncio.Event()

    async def hang(_: Published) -> None:
        begun.set()
        await asyncio.Event().wait()

    installation.on_published = hang
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        await asyncio.wait_for(begun.wait(), 20)
        assert (await jobs.get(NAME)).state is State.PUBLISHING
    installation.on_published = None
    async with installation.serving() as jobs:
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


async def test_a_job_cancelled_while_publishing_does_not_succeed(installation: Installation) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait(_: Published) -> None:
        begun.set()
        await go.wait()

    installation.on_published = wait
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        await asyncio.wait_for(begun.wait(), 20)
        await jobs.cancel(NAME)
        go.set()
        await asyncio.sleep(0.3)
        assert (await jobs.get(NAME)).state is State.CANCELLED


async def test_files_that_changed_after_the_report_are_made_again(installation: Installation) -> None:
    calls = []

    async def lose_everything_once(published: Published) -> None:
        calls.append(published)
        if len(calls) == 1:
            shutil.rmtree(installation.root / "artifacts/candidates")
            staged = installation.root / "artifacts/staging/jobs/test.evaluations.a/1/count.json"
            staged.write_text("altered")
            raise errors.Unavailable("the disk was swapped")

    installation.on_published = lose_everything_once
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, NAME)
        reasons = [event.data["reason"] async for event in jobs.watch(NAME) if event.kind == "STATE"]
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 1)
    assert any("the files of attempt 1 are not what it reported" in reason for reason in reasons)
    with installation.store.open(job.artifact, "count.json") as file:
        assert b"altered" not in file.read()
