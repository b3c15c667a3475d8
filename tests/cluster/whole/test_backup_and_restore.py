"""A namespace is lost with all that is in it, and comes back from a dump, the store and the Secrets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cluster.whole.images import Images
from cluster.whole.installation import Release, micro_spec, phase, released, state_of
from support.cluster_nodes import Nodes
from support.clusters import NAMESPACES

from posology.core.errors import NotFound

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

DUMP = "PGPASSWORD=$POSTGRES_PASSWORD pg_dump -h 127.0.0.1 -U posology -Fc posology | base64"
RESTORE = (
    "base64 -d | PGPASSWORD=$POSTGRES_PASSWORD pg_restore -h 127.0.0.1 -U posology -d posology --clean --if-exists"
)
SAVED = ("token", "key-curation", "key-training", "key-evaluation", "key-orchestrator", "database")
STORE = "/var/lib/posology-store"


@pytest.fixture
async def release(nodes: Nodes, built: Images, micro_data: Path) -> AsyncIterator[Release]:
    """An installed release with the micro data in its sources volume."""
    async with released(nodes, built, sources={"claim": "data"}) as found:
        found.fill("data", micro_data / "base", micro_data / "suites", Path("examples"))
        found.install()
        yield found


async def test_what_was_saved_comes_back_and_is_used_again(release: Release, micro_data: Path) -> None:
    await release.apply("before", micro_spec())
    await release.until("before", lambda status: state_of(status, "curate") == "SUCCEEDED", seconds=600)
    release.kubectl("patch", "finetunerun", "before", "--type=merge", "-p", '{"spec":{"cancel":true}}')
    await gone_or_ended(release, "before")
    before = await release.read("before")
    begun = time.monotonic()
    saved, dump, store = secrets(release), sql(release, DUMP), stored(release)
    print(f"saved in {time.monotonic() - begun:.0f} s")

    await lose(release)

    begun = time.monotonic()
    release.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": saved}))
    release.fill("data", micro_data / "base", micro_data / "suites", Path("examples"))
    release.install()
    release.kubectl("exec", "-i", f"deploy/{release.name}-orchestrator", "--", "sh", "-c",
                    f"base64 -d | tar -C {STORE} -xf -", given=store)  # fmt: skip
    release.kubectl("scale", "deploy", "--all", "--replicas=0")
    release.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=orchestrator", "--timeout=120s")
    sql(release, RESTORE, dump)
    release.install()
    print(f"restored in {time.monotonic() - begun:.0f} s, installation and sample data included")

    after = await release.until("before", lambda status: phase(status) == "Cancelled", seconds=60)
    assert after["status"]["uid"] == before["status"]["uid"]
    assert secrets(release) == saved
    await release.apply("after", micro_spec())
    found = await release.until("after", lambda status: state_of(status, "curate") == "SUCCEEDED", seconds=120)
    (curate,) = [stage for stage in found["status"]["stages"] if stage["stage"] == "curate"]
    assert curate["reused"], curate
    release.kubectl("patch", "finetunerun", "after", "--type=merge", "-p", '{"spec":{"cancel":true}}')


def secrets(release: Release) -> list[dict[str, object]]:
    """Secrets and public keys of the installation, as they can be applied elsewhere."""
    names = [f"secret/{release.name}-{name}" for name in SAVED] + [f"configmap/{release.name}-public-keys"]
    found = json.loads(release.kubectl("get", *names, "-o", "json"))["items"]
    return [
        {key: value for key, value in each.items() if key != "metadata"}
        | {"metadata": {key: each["metadata"][key] for key in ("name", "labels") if key in each["metadata"]}}
        for each in found
    ]


def sql(release: Release, command: str, given: str = "") -> str:
    """A command beside the database."""
    return release.kubectl("exec", "-i", f"{release.name}-postgresql-0", "--", "sh", "-c", command, given=given)


def stored(release: Release) -> str:
    """Everything in the store."""
    command = f"cd {STORE} && tar -cf - * | base64"  # not `.`: the volume's own folder belongs to the node
    return release.kubectl("exec", f"deploy/{release.name}-orchestrator", "--", "sh", "-c", command)


async def lose(release: Release) -> None:
    """Delete the namespace with all volumes, and make it anew."""
    labels = (await release.kube.read(NAMESPACES, "", release.namespace))["metadata"]["labels"]
    release.helm("uninstall", release.name, "--wait")
    await release.let_go()
    release.kubectl("delete", "namespace", release.namespace, "--timeout=300s")
    body = {"metadata": {"name": release.namespace, "labels": {key: labels[key] for key in labels if "pod-sec" in key}}}
    await release.kube.create(NAMESPACES, "", body)


async def gone_or_ended(release: Release, name: str) -> None:
    """Returns once a run that was cancelled has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            found = await release.read(name)
        except NotFound:
            return
        if phase(found.get("status", {})) == "Cancelled":
            return
        await asyncio.sleep(1)
    raise AssertionError(f"{name} did not end")
