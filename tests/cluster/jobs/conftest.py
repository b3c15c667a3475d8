"""Nodes for the session; a service and a namespace for each test."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cluster.jobs.pod_service import NAMESPACES, SECRETS, STORAGE, Service, account
from support.cluster_nodes import Nodes, cluster_nodes
from support.servers import S3, s3_server

from posology.core.kube import Kube


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    with cluster_nodes() as found:
        yield found


@pytest.fixture(scope="session")
def reachable_s3(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3"), host=nodes.host) as server:
        yield server


@pytest.fixture
async def service(
    tmp_path: Path, nodes: Nodes, reachable_s3: S3, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A service and a namespace that enforces the Pod Security Standard `restricted`."""
    options = json.dumps(reachable_s3.options)
    monkeypatch.setenv(STORAGE, options)
    async with Kube(nodes.access) as kube:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        made = await kube.create(NAMESPACES, "", {"metadata": {"generateName": "workers-", "labels": labels}})
        namespace = made["metadata"]["name"]
        for name, data in (("storage", {STORAGE: options}), ("references", {"teacher-key": "k-1", "other": "o"})):
            await kube.create(SECRETS, namespace, {"metadata": {"name": name}, "stringData": data})
        found = Service(tmp_path, nodes, kube, namespace, reachable_s3.bucket(), await account(kube, namespace))
        await found.db.migrate("posology.core.audit", "posology.core.jobs")
        yield found
        await found.db.close()
        await kube.delete(NAMESPACES, "", namespace)
