"""Demonstration 7 on an installed release that tells its users apart, with certificates between everybody.

Roles and tokens are the cluster's; services ask the API server, workers report over TLS, and the operator passes on who
submitted what kubectl applies.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cluster.people import Person, person
from cluster.whole.images import Images
from cluster.whole.installation import Object, Release, micro_spec, released
from support.certificates import Authority
from support.cluster_nodes import Nodes
from support.clusters import RUNS
from support.servers import REPOSITORY

from posology.client import Client, Installation
from posology.client.specfile import parse_run
from posology.core.errors import PermissionDenied, Unauthenticated
from posology.v1alpha1 import orchestrator_pb2 as pb

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SERVICES = ("orchestrator", "curation", "training", "evaluation", "serving", "gateway", "operator")
_SECRET = "certificates"
_MANUAL = {"replicas": 1, "rollout": "MANUAL"}


@pytest.fixture
async def release(nodes: Nodes, built: Images, micro_data: Path, tmp_path: Path) -> AsyncIterator[Release]:
    """An installation whose users are the cluster's, and whose services show certificates."""
    values = {
        "sources": {"claim": "data"}, "aggregatedRoles": True, "authentication": {"mode": "kubernetes"},
        "tls": {"enabled": True, "secret": _SECRET},
    }  # fmt: skip
    async with released(nodes, built, **values) as found:
        names = [f"{found.name}-{service}.{found.namespace}.svc" for service in (*SERVICES, "engine")]
        files = tmp_path / "certificates"
        Authority().write(files, *names, "127.0.0.1")
        given = [f"--from-file={name}={files / name}" for name in ("ca.crt", "tls.crt", "tls.key")]
        found.kubectl("create", "secret", "generic", _SECRET, *given)
        found.fill("data", micro_data / "base", micro_data / "suites", REPOSITORY / "examples")
        found.install()
        found.helm("test", found.name)
        yield found


async def test_who_may_not_does_not_and_everybody_is_on_record(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = release.namespace
    jane = await person(release.kube, namespace, "jane", "view", "edit")
    bob = await person(release.kube, namespace, "bob", "approver")
    eve = await person(release.kube, namespace, "eve", audience="")
    async with release.connected() as services:
        folder = services.installation.settings.data_dir
        apply_as(release, jane, "by-kubectl")
        shown = await release.until("by-kubectl", lambda status: "creator" in status)
        assert shown["status"]["creator"] == jane.user
        by_grpc = parse_run(document("by-grpc", namespace, ""))
        async with client_of(release, folder, jane, monkeypatch) as door:
            made = await door.submit(by_grpc)
            assert made.creator == jane.user
            with pytest.raises(PermissionDenied, match="jane may not approve finetuneruns"):
                await door.approve("by-grpc")
        with pytest.raises(PermissionDenied, match="only people approve"):
            await services.approve("by-grpc")
        async with client_of(release, folder, bob, monkeypatch) as door:
            assert {run.name.rpartition("/")[2] for run in await door.runs()} == {"by-grpc", "by-kubectl"}
            with pytest.raises(PermissionDenied, match="in every namespace"):
                await door.orchestrator.ListRuns(pb.ListRunsRequest(parent="namespaces/-"))
            with pytest.raises(PermissionDenied, match="bob may not update finetuneruns"):
                await door.cancel("by-grpc")
            for run in ("by-grpc", "by-kubectl"):
                await door.approve(run, comment="looked at it")
        async with client_of(release, folder, eve, monkeypatch) as door:
            with pytest.raises(Unauthenticated, match="the cluster does not know this token"):
                await door.runs()
        monkeypatch.delenv("POSOLOGY_TOKEN")
        curated = await release.until("by-kubectl", lambda status: "dataset" in status.get("links", {}))
        assert curated["status"]["links"]["dataset"], "a worker reported over TLS"


@asynccontextmanager
async def client_of(
    release: Release, folder: Path, who: Person, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    """A person's client: their token, and the certificate that the folder holds."""
    monkeypatch.setenv("POSOLOGY_TOKEN", who.token)
    async with Client(Installation.discover(folder), namespace=release.namespace) as client:
        yield client


def apply_as(release: Release, who: Person, name: str) -> None:
    """kubectl apply, first without saying who, then with."""
    words = ("apply", "-f", "-", "--as", who.user)
    refused = release.kubectl(*words, given=json.dumps(document(name, release.namespace, "")), wanted=None)
    assert f"say who submits this run: metadata.annotations[posology.dev/submitted-by] must be {who.user}" in refused
    release.kubectl(*words, given=json.dumps(document(name, release.namespace, who.user)))


def document(name: str, namespace: str, by: str) -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    if by:
        metadata["annotations"] = {"posology.dev/submitted-by": by}
    return {
        "apiVersion": RUNS.version,
        "kind": "FineTuneRun",
        "metadata": metadata,
        "spec": micro_spec(serving=_MANUAL),
    }
