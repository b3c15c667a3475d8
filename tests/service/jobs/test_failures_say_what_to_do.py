"""Errors of handlers and limits, as users see them."""

from dataclasses import replace

import pytest
from support.job_installation import Installation, finished, named

from posology.core.errors import Violation
from posology.core.jobs.domain import Resources, State
from posology.core.jobs.launchers.local import LocalLauncher

NAME = "namespaces/test/evaluations/a"


@pytest.mark.parametrize("error", ["InvalidInput", "FailedPrecondition", "NotFound", "DataCorrupt", "Exhausted"])
async def test_what_only_the_user_can_mend_is_not_tried_again(installation: Installation, error: str) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "fail", error=error))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert job.error is not None
    assert job.error.error == error


async def test_violations_arrive_with_their_fields(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "fail", error="InvalidInput"))
        job = await finished(jobs, NAME)
    assert job.error is not None
    assert job.error.violations == (Violation("spec.rank", "must be above 0"),)


async def test_an_error_class_of_the_worker_counts_as_the_one_it_derives_from(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "diverge"))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert job.error is not None
    assert (job.error.error, job.reason) == ("InvalidInput", "the loss is not finite; lower the learning rate")


async def test_a_handler_that_stops_unasked_does_not_go_round_for_ever(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "quit"))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 3)


async def test_a_defect_while_launching_counts_as_a_failure(installation: Installation) -> None:
    def broken(_: object) -> Resources:
        raise KeyError("rank")

    installation.command = replace(installation.command, resources_of=broken)
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 3)
    assert "KeyError" in job.reason


async def test_what_may_pass_is_tried_again(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "fail", error="Unavailable", until=3, steps=1))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 3, 2)


async def test_an_unknown_exception_is_tried_up_to_the_limit_and_shows_no_traceback(
    installation: Installation,
) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "fail", error="no class of ours"))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 3)
    assert "RuntimeError: a secret of the traceback" in job.reason
    assert "second line" not in job.reason
    assert "Traceback" not in job.reason
    assert "Traceback" in (installation.root / "jobs/test.evaluations.a/3/worker.log").read_text()


@pytest.mark.parametrize("child", [False, True])
async def test_the_memory_limit_names_itself(installation: Installation, child: bool) -> None:
    limit = Resources(cpus=1, memory=256 << 20)
    installation.command = replace(installation.command, resources=limit)
    async with installation.serving() as jobs:
        await jobs.create(named("a", "eat", child=child))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert job.error is not None
    assert job.error.error == "Exhausted"
    assert "more than its limit of 0.25 GiB" in job.reason


async def test_a_worker_gets_its_cpus_and_none_of_our_settings(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSOLOGY_TOKEN_FILE", "/some/token")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    async with installation.serving() as jobs:
        await jobs.create(named("a", "limits"))
        job = await finished(jobs, NAME)
    assert job.summary == {"cpus": 1, "threads": "1", "ours": ["POSOLOGY_WORKER_SPEC"]}


async def test_a_full_disk_is_exhausted(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "full"))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert job.error is not None
    assert job.error.error == "Exhausted"
    assert "no space left" in job.reason


async def test_a_python_that_is_not_there_names_its_setting(installation: Installation) -> None:
    installation.launcher = LocalLauncher(installation.root / "jobs", python="/no/such/python")
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, NAME)
    assert job.state is State.FAILED
    assert "POSOLOGY_WORKER_PYTHON" in job.reason


async def test_a_worker_that_cannot_even_import_is_given_up(installation: Installation) -> None:
    installation.command = replace(installation.command, module="no_such_module")
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 3)
    assert "exit code 1" in job.reason


async def test_a_kind_the_worker_does_not_know_is_final(installation: Installation) -> None:
    installation.command = replace(installation.command, module="micro_other")
    (installation.root / "micro_other.py").write_text(
        "from posology.core.jobs.worker.runtime import main\nmain({'dance': lambda job: None})\n"
    )
    installation.command = replace(installation.command, environment={"PYTHONPATH": str(installation.root)})
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert "does no 'count' jobs; it does dance" in job.reason


async def test_an_input_and_a_secret_reach_the_handler(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSOLOGY_SECRET_TEACHER_KEY", "hush")
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=3))
        first = await finished(jobs, NAME)
        await jobs.create(named("b", "inherit", input=first.artifact))
        second = await finished(jobs, "namespaces/test/evaluations/b")
    assert second.summary == {"secret": "hush"}
    assert installation.store.manifest(second.artifact).parents == (first.artifact,)


async def test_a_missing_secret_says_where_to_put_it(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=3))
        first = await finished(jobs, NAME)
        await jobs.create(named("b", "inherit", input=first.artifact))
        second = await finished(jobs, "namespaces/test/evaluations/b")
    assert second.state is State.FAILED
    assert "POSOLOGY_SECRET_TEACHER_KEY" in second.reason


async def test_numbers_that_json_does_not_know_arrive(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "odd"))
        job = await finished(jobs, NAME)
        metrics = [event.data["values"] async for event in jobs.watch(NAME) if event.kind == "METRIC"]
    assert job.state is State.SUCCEEDED
    assert [(str(values["loss"]), str(values["size"])) for values in metrics] == [("nan", "inf")]


async def test_a_result_that_would_change_on_its_way_is_refused(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "odd", big=True))
        job = await finished(jobs, NAME)
    assert job.state is State.FAILED
    assert "above 2**53" in job.reason
