"""A job becomes a Job, a pod and an artifact, and nothing more than it needs is in that pod."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster.jobs.pod_service import SECRETS, SMALL, STORAGE, Service, eventually
from support.job_installation import finished, named
from support.servers import S3

from posology.core.artifacts import ArtifactStore
from posology.core.errors import PermissionDenied
from posology.core.jobs.domain import Resources, State
from posology.core.jobs.launchers.kubernetes.launcher import JOBS, PODS

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


async def test_workers_read_artifacts_and_write_only_where_attempts_leave_their_files(
    service: Service, reachable_s3: S3, tmp_path: Path
) -> None:
    worker = reachable_s3.user("worker")
    allow_a_worker(reachable_s3, service.bucket, "worker")
    secret = {"metadata": {"name": "storage-of-workers"}, "stringData": {STORAGE: json.dumps(worker)}}
    await service.kube.create(SECRETS, service.namespace, secret)
    service.pods = {"storageSecret": "storage-of-workers"}
    given = service.artifact()
    async with service.serving() as jobs:
        await jobs.create(named("a", "inherit", input=given, teacher={"credentialsSecret": "teacher-key"}))
        job = await finished(jobs, NAME)
    assert (job.state, job.error) == (State.SUCCEEDED, None)
    assert service.store.manifest(job.artifact).parents == (given,)
    (tmp_path / "made" / "up").mkdir(parents=True)
    (tmp_path / "made" / "count.json").write_text('{"count": 99}')
    theirs = ArtifactStore(f"{service.bucket}/candidates", options=worker)
    with pytest.raises(PermissionDenied):
        theirs.publish(tmp_path / "made", kind="evaluation", producer="a worker")
    with pytest.raises(PermissionDenied):
        theirs.delete(job.artifact)


def allow_a_worker(s3: S3, bucket: str, user: str) -> None:
    """What docs/kubernetes/training.md says: read everything, write below staging/ only."""
    name = bucket.removeprefix("s3://")
    everything, staging = f"arn:aws:s3:::{name}/*", f"arn:aws:s3:::{name}/staging/*"
    allowed = [
        (["s3:ListBucket", "s3:ListBucketMultipartUploads"], f"arn:aws:s3:::{name}"),
        (["s3:GetObject"], everything),
        (["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], staging),
    ]
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": [user]}, "Action": action, "Resource": resource}
        for actions, resource in allowed
        for action in actions
    ]
    admin: Any = ArtifactStore(bucket, options=s3.options)._backend
    admin._files.call_s3("put_bucket_policy", Bucket=name, Policy=json.dumps({"Statement": statements}))
