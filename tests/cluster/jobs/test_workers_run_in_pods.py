"""A job becomes a Job, a pod and an artifact, and nothing more than it needs is in that pod."""

from dataclasses import replace

import pytest
from cluster.jobs.pod_service import SECRETS, SMALL, Service, eventually
from job_installation import finished, named

from posology.core.jobs.domain import Resources, State
from posology.core.jobs.kubernetes.launcher import JOBS, PODS

pytestmark = pytest.mark.cluster
NAME = "namespaces/test/evaluations/a"


async def test_a_pod_sees_the_secrets_of_its_spec_and_nothing_of_the_cluster(service: Service) -> None:
    teacher = {"endpoint": "https://x", "credentialsSecret": "teacher-key"}
    async with service.serving() as jobs:
        await jobs.create(named("a", "look", teacher=teacher))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.error) == (State.SUCCEEDED, 1, None)
    assert {key: value for key, value in job.summary.items() if key != "shared_memory"} == {
        "uid": 65532,
        "account": False,
        "root_is_writable": False,
        "secrets": ["teacher-key"],
        "key": "k-1",
        "threads": "1",
    }
    assert service.store.manifest(job.artifact).kind == "evaluation"


async def test_a_secret_that_is_not_there_is_named_with_its_place(service: Service) -> None:
    service.pods = {"secrets": "nothing-here"}
    async with service.serving() as jobs:
        await jobs.create(named("a", "inherit", input=service.artifact(), teacher={"credentialsSecret": "teacher-key"}))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt) == (State.FAILED, 1)
    assert job.reason == "there is no secret 'teacher-key'; put it into 'teacher-key' of the Secret nothing-here"


async def test_logs_stay_for_their_time_and_then_nothing_is_left(service: Service) -> None:
    service.pods = {"keepSeconds": 5}
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=2))
        await finished(jobs, NAME)
        [made] = await service.of_kind(JOBS)
        assert made["metadata"]["annotations"]["posology.dev/job-name"] == NAME
        assert len(await service.of_kind(SECRETS)) == 1
        await eventually(service.is_empty)
        assert (await jobs.get(NAME)).state is State.SUCCEEDED


async def test_gpu_work_runs_on_the_gpu_pool_with_shared_memory(service: Service) -> None:
    service.command = replace(SMALL, resources=Resources(cpus=1, memory=256 << 20, gpus=1))
    async with service.serving() as jobs:
        await jobs.create(named("a", "look", teacher={"credentialsSecret": "teacher-key"}))
        job = await finished(jobs, NAME)
    assert job.state is State.SUCCEEDED, job.reason
    assert job.summary["shared_memory"] == 64 << 20
    [pod] = await service.of_kind(PODS)
    assert pod["spec"]["nodeName"] == "gpu"
