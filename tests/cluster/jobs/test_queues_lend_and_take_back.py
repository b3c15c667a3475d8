"""Two teams with a GPU each in Kueue: what is lent is taken back, and training goes on later from its checkpoint."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
from cluster.jobs.pod_service import SMALL, Service, eventually
from support.job_installation import events, finished, named

from posology.core.jobs.domain import EventKind, Resources, State
from posology.core.jobs.service.jobs import Jobs
from posology.core.kube import Resource

pytestmark = pytest.mark.cluster
A, B = "namespaces/test/evaluations/a", "namespaces/test/evaluations/b"
QUEUES = Resource("kueue.x-k8s.io/v1beta2", "localqueues")


def resources(spec: Mapping[str, Any]) -> Resources:
    return Resources(cpus=1, memory=256 << 20, gpus=spec["gpus"], queue=spec["queue"])


async def said_by(jobs: Jobs, name: str) -> list[tuple[str, str]]:
    """What the job said about itself, and what its queue had decided then."""
    found = [event.data for event in await events(jobs, name) if event.kind is EventKind.STATE]
    return [(data["reason"], data.get("queue_state", "")) for data in found]


async def test_a_borrowed_gpu_is_given_back_and_the_borrower_goes_on_when_it_is_free(service: Service) -> None:
    service.nodes.do("kueue")
    for team in ("team-a", "team-b"):
        queue = {"metadata": {"name": team}, "spec": {"clusterQueue": team}}
        await service.kube.create(
            QUEUES, service.namespace, {"apiVersion": QUEUES.version, "kind": "LocalQueue"} | queue
        )
    service.command = replace(SMALL, resources_of=resources)
    async with service.serving() as jobs:
        await jobs.create(named("a", steps=24, pause=0.5, gpus=2, queue="team-a"))

        async def borrowed() -> bool:
            progress = (await jobs.get(A)).progress
            return progress is not None and progress.done >= 2

        await eventually(borrowed)
        await jobs.create(named("b", steps=4, pause=0.5, gpus=1, queue="team-b"))
        owner = await finished(jobs, B, within=90)
        borrower = await finished(jobs, A, within=90)
        said = await said_by(jobs, A)
        steps = [event.data["step"] for event in await events(jobs, A) if event.kind is EventKind.METRIC]
    assert (owner.state, owner.attempt) == (State.SUCCEEDED, 1)
    assert (borrower.state, borrower.attempt, borrower.failures) == (State.SUCCEEDED, 2, 0)
    assert steps == list(range(24))
    words = [reason for reason, _ in said]
    assert words[-3:] == ["attempt 2 runs on node gpu", "publishing the artifact", "done"]
    assert any(reason.startswith("attempt 1 had to give its place in queue team-a back: Preempted") for reason in words)
    assert any("2 waits in queue team-a for its quota: couldn't assign flavors" in reason for reason in words), words
    decided = [state for state, _ in groupby(state for _, state in said if state)]
    assert decided[-3:] == ["ADMITTED", "PREEMPTED", "ADMITTED"]
