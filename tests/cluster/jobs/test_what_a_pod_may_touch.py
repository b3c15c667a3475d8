"""A pod reads what its attempt needs and writes what is its own, in an object store as on a volume."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cluster.jobs.pod_service import RBAC, RULES, STORAGE, Service
from cluster.jobs.test_pods_may_die import progressed, steps
from support.cluster_nodes import Nodes
from support.job_installation import finished, named
from support.role_server import ROLE, RoleStore, role_server

from posology.core.artifacts.backends import below, open_backend
from posology.core.jobs.domain import State, checkpoint_prefix, staging_prefix
from posology.core.kube import Resource

pytestmark = pytest.mark.cluster
VOLUMES, CLAIMS = Resource("v1", "persistentvolumes"), Resource("v1", "persistentvolumeclaims")
NAME = "namespaces/test/evaluations/a"
OTHER = "namespaces/test/evaluations/b"
OWN = (staging_prefix(NAME, 1), f"{checkpoint_prefix(NAME)}/1")
FOREIGN = (staging_prefix(NAME, 2), f"{checkpoint_prefix(NAME)}/2", staging_prefix(OTHER, 1), checkpoint_prefix(OTHER))


@pytest.fixture(scope="module")
def roles(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoleStore]:
    with role_server(tmp_path_factory.mktemp("roles"), host=nodes.host) as found:
        yield found


async def on_a_bucket_of_its_own(service: Service, roles: RoleStore) -> None:
    """Credentials of attempts instead of those that all workers share."""
    roles.reset()
    service.bucket = roles.s3.bucket()
    service.pods = {"storageSecret": "", "storageRole": {"arn": ROLE, "endpoint": roles.sts}}
    renewing = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"]}
    role = Resource(RBAC, "roles")
    await service.kube.merge(role, service.namespace, "service", {"rules": [*RULES, renewing]})


@asynccontextmanager
async def on_a_volume(service: Service, folder: Path) -> AsyncIterator[None]:
    """A folder of this machine, which the nodes of the tool share."""
    name, like = f"store-{service.namespace}", {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {"hostPath": {"path": str(folder)}, "claimRef": {"namespace": service.namespace, "name": "store"}}
    made = {"metadata": {"name": name}, "spec": like | volume | {"capacity": {"storage": "1Gi"}}}
    claim = like | {"volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    await service.kube.create(VOLUMES, "", made)
    await service.kube.create(CLAIMS, service.namespace, {"metadata": {"name": "store"}, "spec": claim})
    service.bucket = str(folder)
    service.pods = {"storageSecret": "", "volumes": [{"claim": "store", "path": str(folder)}]}
    yield
    await service.kube.delete(VOLUMES, "", name)


@pytest.fixture(params=["bucket", "volume"])
async def narrowed(
    request: pytest.FixtureRequest,
    service: Service,
    roles: RoleStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Service]:
    if request.param == "bucket":
        monkeypatch.setenv(STORAGE, json.dumps(roles.s3.options))
        await on_a_bucket_of_its_own(service, roles)
        yield service
    elif not service.nodes.tool:
        pytest.skip("the nodes of this cluster are other machines")
    else:
        (tmp_path / "store").mkdir()
        async with on_a_volume(service, tmp_path / "store"):
            yield service


@pytest.fixture(autouse=True)
def files_for_everybody() -> Iterator[None]:
    """Services and workers are one user in an installation; here they are not."""
    before = os.umask(0)
    yield
    os.umask(before)


async def test_an_attempt_writes_its_own_folders_and_reads_those_of_its_job(narrowed: Service) -> None:
    staging = narrowed.url("staging")
    for folder in (*OWN, *FOREIGN):
        with open_backend(below(staging, folder)).writing("there") as sink:
            sink.write(b"x")
            sink.commit()
    places = {folder: below(staging, folder) for folder in (*OWN, *FOREIGN)}
    elsewhere = [narrowed.url(place) for place in ("candidates", "released", "staging", "keys")]
    async with narrowed.serving() as jobs:
        await jobs.create(named("a", "reach", stores=[*places.values(), *elsewhere]))
        job = await finished(jobs, NAME)
    assert job.state is State.SUCCEEDED, job.reason
    assert set(job.summary["written"]) == {places[folder] for folder in OWN}
    assert set(job.summary["read"]) <= {url for folder, url in places.items() if folder not in FOREIGN[2:]}
    assert places[OWN[1]] in job.summary["read"]


async def test_a_drained_worker_goes_on_where_it_was_and_is_published(narrowed: Service) -> None:
    async with narrowed.serving() as jobs:
        await jobs.create(named("a", steps=12, pause=0.5))
        await progressed(jobs)
        await narrowed.evict((await narrowed.running_pod())["metadata"]["name"])
        job = await finished(jobs, NAME)
        found = await steps(jobs)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 0), job.reason
    assert [step for _, step in found] == list(range(12))
    assert narrowed.store.manifest(job.artifact).kind == "evaluation"


async def test_inputs_are_read(narrowed: Service) -> None:
    given = narrowed.artifact()
    async with narrowed.serving() as jobs:
        await jobs.create(named("a", "inherit", input=given, teacher={"credentialsSecret": "teacher-key"}))
        job = await finished(jobs, NAME)
    assert job.state is State.SUCCEEDED, job.reason
    assert narrowed.store.manifest(job.artifact).parents == (given,)
