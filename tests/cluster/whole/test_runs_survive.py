"""What dies while runs are at work, and that each of them ends all the same, with every stage published once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cluster.whole.images import Images
from cluster.whole.installation import Release, micro_spec, phase, released
from cluster.whole.training_place import GPU_POOL
from support.cluster_nodes import Nodes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
SUCCEEDED_TWICE = (
    "select subject, count(*) from {schema}.audit where action = 'job.succeeded' group by subject having count(*) > 1"
)
JOBS = "select count(*) from {schema}.jobs where state = 'SUCCEEDED'"
STEPS = 2500
"""Long enough for everything below to happen while training goes on, at seven a second on two idle cores."""
SERVICES = ("curation", "training", "evaluation")


@pytest.fixture
async def release(nodes: Nodes, built: Images, micro_data: Path) -> AsyncIterator[Release]:
    """An installation with two of each that elect or share, and the micro data in its sources volume."""
    twice = {name: {"replicas": 2} for name in ("orchestrator", "operator")}
    workers = {"pools": {"gpu": GPU_POOL}, "concurrency": {"training": 2}}
    values = {"sources": {"claim": "data"}, "workers": workers, "services": twice}
    async with released(nodes, built, **values) as found:
        found.fill("data", micro_data / "base", micro_data / "suites", Path("examples"))
        found.install()
        yield found


def spec(*, seed: int, gpus: int = 1) -> dict[str, Any]:
    """Thirty pairs and enough steps to be disturbed; no preferences and no engine to wait for."""
    found = micro_spec(
        curation={"pairs": 30},
        training={
            "sft": {"method": "LORA", "maxSteps": STEPS, "checkpointSteps": 50, "seed": seed},
            "resources": {"gpus": gpus, "nodePool": "gpu"},
        },
    )
    found["curation"].pop("preferences")
    found["training"].pop("dpo")
    found.pop("serving")
    return found


def stage(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next((each for each in status.get("stages", ()) if each["stage"] == name), {})


def steps_of(status: dict[str, Any]) -> float:
    """Training steps so far."""
    return float(stage(status, "sft").get("progress", {}).get("done", 0))


async def progressed(release: Release, names: Sequence[str], since: Mapping[str, float]) -> dict[str, float]:
    """Wait until each run has done more steps of training than it had; where they are."""
    found = {}
    for name in names:
        reached = partial(further, than=since[name])
        found[name] = steps_of((await release.until(name, reached, seconds=400))["status"])
    return found


def further(status: dict[str, Any], *, than: float) -> bool:
    assert stage(status, "sft").get("state") != "SUCCEEDED", "training ended before it was disturbed; make it longer"
    return steps_of(status) >= than + 50


async def test_runs_end_and_publish_once_whatever_dies(release: Release) -> None:
    names = ("run-1", "run-2")
    for seed, name in enumerate(names, 1):
        await release.apply(name, spec(seed=seed))
    steps = await progressed(release, names, dict.fromkeys(names, 0.0))
    took: dict[str, float] = {}
    for what, disturb in disturbances(release).items():
        began = time.monotonic()
        await disturb()
        steps = await progressed(release, names, steps)
        took[what] = round(time.monotonic() - began, 1)
    print("seconds until both had gone on:", took, "steps:", steps)
    ended = [await release.until(name, lambda status: phase(status) == "Succeeded", seconds=1200) for name in names]
    for service in SERVICES:
        assert not query(release, SUCCEEDED_TWICE.format(schema=service))
        assert int(query(release, JOBS.format(schema=service))) > 0
    # Curation and import are the same in both; training, merging and proving are not.
    artifacts = [{each["stage"]: each.get("artifact", "") for each in run["status"]["stages"]} for run in ended]
    assert len({found["curate"] for found in artifacts}) == 1
    for name in ("sft", "merge", "evaluate"):
        assert len({found[name] for found in artifacts}) == 2, artifacts


def disturbances(release: Release) -> dict[str, Callable[[], Awaitable[None]]]:
    """Five ways to lose something."""

    async def kill_training() -> None:
        release.kubectl("delete", "pod", "--grace-period=0", "--force", training_pods(release)[0])

    async def stop_node() -> None:
        release.nodes.do("stop", "kubelet-gpu")
        await asyncio.sleep(30)
        release.nodes.do("start-node", "gpu")

    async def kill_orchestrators() -> None:
        for pod in pods(release, "app.kubernetes.io/component=orchestrator"):
            release.kubectl("delete", "pod", "--grace-period=0", "--force", pod)
            await asyncio.sleep(5)

    async def restart_postgresql() -> None:
        release.kubectl("delete", "pod", *pods(release, "app.kubernetes.io/component=postgresql"))

    async def kill_operators() -> None:
        words = pods(release, "app.kubernetes.io/component=operator")
        release.kubectl("delete", "pod", "--grace-period=0", "--force", *words)

    return {
        "training pod killed": kill_training,
        "orchestrators killed": kill_orchestrators,
        "PostgreSQL restarted": restart_postgresql,
        "operators killed": kill_operators,
        "node gpu stopped and started": stop_node,
    }


def pods(release: Release, labels: str) -> list[str]:
    """Names of running pods."""
    found = json.loads(release.kubectl("get", "pods", "-l", labels, "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] == "Running"]


def training_pods(release: Release) -> list[str]:
    return pods(release, "app.kubernetes.io/component=worker,posology.dev/service=training")


def query(release: Release, sql: str) -> str:
    """What the database says."""
    [pod] = pods(release, "app.kubernetes.io/component=postgresql")
    command = f'PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U posology -d posology -At -c "{sql}"'
    return release.kubectl("exec", pod, "--", "sh", "-c", command).strip()
