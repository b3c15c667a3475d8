"""What a job says while the cluster has no place for it, and that this wait is no failure."""

from dataclasses import replace

import pytest
from cluster.jobs.pod_service import SMALL, Service, eventually
from support.job_installation import finished, named

from posology.core.jobs.domain import Job, Resources, State
from posology.core.jobs.service.jobs import Jobs
from posology.core.kube import Resource

pytestmark = pytest.mark.cluster
NAME = "namespaces/test/evaluations/a"
QUOTAS = Resource("v1", "resourcequotas")


async def said(jobs: Jobs, words: str, *, within: float) -> Job:
    """The job, once its reason has these words."""

    async def found() -> Job | None:
        job = await jobs.get(NAME)
        return job if words in job.reason else None

    job: Job = await eventually(found, within=within)
    return job


async def test_a_pod_that_no_node_takes_names_the_missing_resource_within_30_seconds(service: Service) -> None:
    service.command = replace(SMALL, resources=Resources(cpus=1, gpus=99))
    service.timing = replace(service.timing, start=2.0)  # a wait for capacity is not a worker that does not report
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await said(jobs, "waits for a node with enough nvidia.com/gpu (asks for 99)", within=30)
        assert (job.state, job.attempt) == (State.RUNNING, 1)
        await jobs.cancel(NAME)
        assert (await finished(jobs, NAME)).state is State.CANCELLED


async def test_a_quota_that_admits_no_pod_is_named(service: Service) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    await service.kube.create(QUOTAS, service.namespace, quota)
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=1))
        await said(jobs, "the cluster makes no pod for it", within=30)
        job = await said(jobs, "exceeded quota: none", within=30)
        assert (job.state, job.attempt) == (State.RUNNING, 1)
        await service.kube.delete(QUOTAS, service.namespace, "none")


async def test_an_image_that_is_not_there_is_named(service: Service) -> None:
    service.pods = {"image": "localhost/nobody/made-this:1", "imagePullPolicy": "Never"}
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await said(jobs, "its image is not on the node (localhost/nobody/made-this:1)", within=30)
        assert job.state is State.RUNNING
        await jobs.cancel(NAME)
        await finished(jobs, NAME)
