"""Demonstration: two teams in Kueue; training on a borrowed GPU saves, waits, goes on with the same losses, ends."""

from itertools import groupby

import pytest
from cluster.whole.training_place import Place
from support.cluster_nodes import Nodes

from posology.core.kube import Resource
from posology.v1alpha1 import job_pb2

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]
QUEUES = Resource("kueue.x-k8s.io/v1beta2", "localqueues")
LONG = {"epochs": 60, "checkpointSteps": 50}


async def test_training_gives_a_borrowed_gpu_back_and_goes_on_with_the_same_losses(nodes: Nodes, place: Place) -> None:
    nodes.do("kueue")
    for team in ("team-a", "team-b"):
        queue = {"metadata": {"name": team}, "spec": {"clusterQueue": team}}
        whole = {"apiVersion": QUEUES.version, "kind": "LocalQueue"} | queue
        await place.kube.create(QUEUES, place.namespace, whole)
    undisturbed = await place.losses(await place.train("undisturbed", config=LONG, gpus=2))
    borrower = await place.train("borrower", config=LONG, gpus=2, queue="team-a")
    await place.losses(borrower, until=20)
    owner = await place.train("owner", config={}, gpus=1, queue="team-b")
    ended = [await place.world.over(name) for name in (owner, borrower)]
    assert [job.status.state for job in ended] == [job_pb2.JobStatus.SUCCEEDED] * 2, ended
    assert [job.status.attempt for job in ended] == [1, 2]
    assert await place.losses(borrower) == undisturbed
    said = await place.said(borrower)
    decided = [state for state, _ in groupby(state for _, state in said if state != "QUEUE_STATE_UNSPECIFIED")]
    assert decided[-3:] == ["ADMITTED", "PREEMPTED", "ADMITTED"]
    assert any("had to give its place in queue team-a back: Preempted" in reason for reason, _ in said)
