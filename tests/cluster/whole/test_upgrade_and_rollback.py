"""Demonstration: helm upgrade to a release with another schema while a run trains, then helm rollback; the run ends."""

import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cluster.whole.images import Images
from cluster.whole.installation import Release, micro_spec, phase, released, state_of
from support.cluster_nodes import Nodes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

NEXT = """
import sqlalchemy as sa
from alembic import op
revision = "orchestrator_{number:04}"
down_revision = "orchestrator_{before:04}"
def upgrade():
    op.add_column("runs", sa.Column("said_by_the_next_release", sa.Text))
"""
_MIGRATIONS = "posology/orchestrator/migrations/versions"


@pytest.fixture
async def release(nodes: Nodes, built: Images, micro_data: Path) -> AsyncIterator[Release]:
    """An installed release with the micro data in its sources volume."""
    async with released(nodes, built, sources={"claim": "data"}) as found:
        found.fill("data", micro_data / "base", micro_data / "suites", Path("examples"))
        found.install()
        yield found


async def test_a_run_goes_on_through_an_upgrade_and_its_rollback(release: Release, tmp_path: Path) -> None:
    spec = micro_spec(training={"sft": {"maxSteps": 60, "checkpointSteps": 5}})
    spec.pop("serving")
    await release.apply("micro", spec)
    await release.until("micro", lambda status: state_of(status, "sft") == "RUNNING", seconds=600)
    before = secrets(release)

    took = {}
    changed = next_release(release, tmp_path)
    begun = time.monotonic()
    release.install(**changed)
    took["upgrade"] = time.monotonic() - begun
    assert images(release) == {changed["images"]["control"] + ":" + release.images.control.rpartition(":")[2]}
    assert column_exists(release)
    seen = await release.read("micro")
    assert phase(seen["status"]) not in ("Failed", "Cancelled")

    begun = time.monotonic()
    release.helm("rollback", release.name, "1", "--wait", "--timeout", "5m")
    took["rollback"] = time.monotonic() - begun
    assert images(release) == {release.images.control}
    assert column_exists(release), "the older code runs on the newer tables"

    done = await release.until("micro", lambda status: phase(status) == "Succeeded", seconds=900)
    stages = {stage["stage"]: stage for stage in done["status"]["stages"]}
    assert {name: stage["state"] for name, stage in stages.items()} == dict.fromkeys(stages, "SUCCEEDED")
    assert secrets(release) == before, "token and keys are those of the first day"
    assert "Succeeded" in release.helm("test", release.name)
    print(f"upgrade {took['upgrade']:.0f} s, rollback {took['rollback']:.0f} s, each until everything was ready")


def next_release(release: Release, folder: Path) -> dict[str, dict[str, str]]:
    """Values of a release whose control image has one migration more.

    POSOLOGY_TEST_NEXT names it (without its tag, which is that of the others); else the tool builds it.
    """
    if given := os.environ.get("POSOLOGY_TEST_NEXT"):
        return {"images": {"control": given}}
    if not release.nodes.tool:
        pytest.skip("set POSOLOGY_TEST_NEXT to a control image with one migration more (see next_release)")
    versions = Path("services") / _MIGRATIONS
    number = len(list(versions.glob("v*.py"))) + 1
    (folder / "next.py").write_text(NEXT.format(number=number, before=number - 1))
    target = f"/opt/posology/lib/python3.11/site-packages/{_MIGRATIONS}/v{number:04}_next.py"
    (folder / "Dockerfile").write_text(f"FROM {release.images.control}\nCOPY next.py {target}\n")
    repository, _, tag = release.images.control.rpartition(":")
    for words in (("build", f"{repository}-next:{tag}", str(folder)), ("load", f"{repository}-next:{tag}", "general")):
        subprocess.run([release.nodes.tool, *words], check=True, capture_output=True, timeout=300)
    return {"images": {"control": f"{repository}-next"}}


def images(release: Release) -> set[str]:
    """Images of the control pods that are ready."""
    pods = json.loads(release.kubectl("get", "pods", "-o", "json"))["items"]
    return {
        container["image"]
        for pod in pods
        if pod["metadata"].get("ownerReferences", [{}])[0].get("kind") == "ReplicaSet"
        and "deletionTimestamp" not in pod["metadata"]
        for container in pod["spec"]["containers"]
    }


def column_exists(release: Release) -> bool:
    """Whether the database has what the next release added."""
    query = "select count(*) from information_schema.columns where column_name = 'said_by_the_next_release'"
    psql = f'PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U posology -Atc "{query}"'
    return release.kubectl("exec", f"{release.name}-postgresql-0", "--", "sh", "-c", psql).strip() == "1"


def secrets(release: Release) -> dict[str, str]:
    """Versions of the token's and the keys' Secrets."""
    found = json.loads(release.kubectl("get", "secrets", "-o", "json"))["items"]
    return {
        secret["metadata"]["name"]: secret["metadata"]["resourceVersion"]
        for secret in found
        if secret["metadata"]["name"].startswith((f"{release.name}-token", f"{release.name}-key-"))
    }
