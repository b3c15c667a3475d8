"""Evictions, kills, restarts of the service, and failures that are final."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from cluster.jobs.pod_service import Service, eventually
from support.job_installation import events, finished, named

from posology.core.jobs.domain import EventKind, Job, State
from posology.core.jobs.launchers.kubernetes.launcher import JOBS, PODS
from posology.core.jobs.service.jobs import Jobs

pytestmark = pytest.mark.cluster
NAME = "namespaces/test/evaluations/a"


async def progressed(jobs: Jobs, *, to: float = 3) -> None:
    """Wait until it has done some steps."""

    async def enough() -> bool:
        job = await jobs.get(NAME)
        return job.progress is not None and job.progress.done >= to

    await eventually(enough)


async def steps(jobs: Jobs) -> list[tuple[int, float]]:
    """(attempt, step) of every metric, in the order in which they were stored."""
    return [(e.attempt, e.data["step"]) for e in await events(jobs, NAME) if e.kind is EventKind.METRIC]


async def test_a_drained_worker_checkpoints_and_goes_on_elsewhere_with_the_same_sequence(service: Service) -> None:
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=12, pause=0.5))
        await progressed(jobs)
        pod = (await service.running_pod())["metadata"]["name"]
        await service.evict(pod)
        job = await finished(jobs, NAME)
        found = await steps(jobs)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 0)
    assert [step for _, step in found] == list(range(12))
    first, _ = await service.of_kind(JOBS)
    said = [c["message"] for c in first["status"]["conditions"] if c["type"] == "Failed"]
    assert "DisruptionTarget" in said[0]


async def test_a_worker_that_is_gone_without_a_word_is_replaced_from_its_last_checkpoint(service: Service) -> None:
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=12, pause=0.5))
        await progressed(jobs)
        pod = (await service.running_pod())["metadata"]["name"]
        await service.kube.delete(PODS, service.namespace, pod, gracePeriodSeconds=0)
        job = await finished(jobs, NAME)
        found = await steps(jobs)
    assert (job.state, job.failures) == (State.SUCCEEDED, 0)
    resumed = min(step for attempt, step in found if attempt == 2)
    assert 0 < resumed <= 1 + max(step for attempt, step in found if attempt == 1)


async def test_a_node_that_vanished_is_fenced_off_and_comes_back_too_late(service: Service) -> None:
    """The kubelet stops and the worker freezes; later both go on, and nobody listens."""
    service.timing = replace(service.timing, silence=5.0)
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=12, pause=0.5, salt="s"))
        await progressed(jobs)
        pod = await service.running_pod()
        node = pod["spec"]["nodeName"]
        worker = service.process_of(pod)
        service.nodes.do("stop", f"kubelet-{node}")
        worker.suspend()
        try:
            await eventually(partial(attempt_is, jobs, 2))
        finally:
            service.nodes.do("start-node", node)
        worker.resume()
        late = await asyncio.to_thread(worker.wait, 30)
        job = await finished(jobs, NAME, within=90)
        found = await steps(jobs)
    assert late in {None, 3}  # refused, or killed by its kubelet first
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 1)
    assert [step for attempt, step in found if attempt == 2] == list(range(found_first(found), 12))


async def test_a_restarted_service_adopts_the_running_worker(service: Service) -> None:
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=12, pause=0.5))
        await progressed(jobs, to=1)
    await asyncio.sleep(1)
    async with service.serving() as jobs:
        job = await finished(jobs, NAME)
        found = await steps(jobs)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert found == [(1, step) for step in range(12)]
    assert len(await service.of_kind(JOBS)) == 1


async def test_a_user_error_is_final_and_a_crash_is_tried_again(service: Service) -> None:
    async with service.serving() as jobs:
        await jobs.create(named("a", "fail", error="InvalidInput", steps=1))
        await jobs.create(named("b", "die", until=2, steps=1))
        wrong, crashed = await asyncio.gather(finished(jobs, NAME), finished(jobs, NAME.replace("/a", "/b"), within=90))
    assert (wrong.state, wrong.attempt, _field(wrong)) == (State.FAILED, 1, "spec.rank")
    assert (crashed.state, crashed.attempt, crashed.failures) == (State.SUCCEEDED, 2, 1)


async def test_too_little_memory_names_the_limit(service: Service) -> None:
    async with service.serving() as jobs:
        await jobs.create(named("a", "eat"))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert "needed more memory than its limit of 256Mi" in job.reason


async def test_a_cancelled_worker_gets_its_signal_and_leaves_nothing(service: Service) -> None:
    service.timing = replace(service.timing, grace=3.0)
    service.pods = {"graceSeconds": 2}
    async with service.serving() as jobs:
        await jobs.create(named("a", "deaf"))
        await service.running_pod()
        await jobs.cancel(NAME)
        job = await finished(jobs, NAME)
        await eventually(service.is_empty)
    assert job.state is State.CANCELLED


async def attempt_is(jobs: Jobs, number: int) -> bool:
    return (await jobs.get(NAME)).attempt == number


def found_first(found: list[tuple[int, float]]) -> int:
    """The step at which the second attempt began, which is no earlier than what the first one had saved."""
    begin = min(step for attempt, step in found if attempt == 2)
    assert begin >= 3
    return int(begin)


def _field(job: Job) -> str:
    assert job.error is not None
    return job.error.violations[0].field
