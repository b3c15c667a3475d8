"""Two nodes: an Indexed Job whose pods find each other by name, one stream, and the losses of one process."""

import pytest
from cluster.whole.training_place import Place

from posology.core.jobs.launchers.kubernetes.launcher import JOBS, PODS
from posology.v1alpha1 import job_pb2

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]
PLAIN = {"dropout": 0.0}
"""Dropout is drawn in each process by itself, so only without it the losses can be the same."""
CLOSE = 1e-5


async def test_two_pods_train_as_one_process_does_and_go_on_after_one_of_them_is_lost(place: Place) -> None:
    name = await place.train("one", config=PLAIN)
    one = await place.losses(name)
    name = await place.train("two", config=PLAIN, nodes=2)
    await place.losses(name, until=5)
    running = await place.pods()
    assert {pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] for pod in running} == {"0", "1"}
    last = max(running, key=lambda pod: pod["metadata"]["name"])
    await place.kube.delete(PODS, place.namespace, last["metadata"]["name"], gracePeriodSeconds=0)
    two = await place.losses(name)
    job = await place.world.over(name)
    assert job.status.state == job_pb2.JobStatus.SUCCEEDED, job.status
    assert job.status.attempt == 2
    assert one.keys() == two.keys()
    assert max(abs(one[step] - two[step]) for step in one) < CLOSE
    made = (await place.kube.select(JOBS, place.namespace))["items"]
    spans = {each["spec"].get("completionMode"): each["spec"]["parallelism"] for each in made}
    assert spans == {"NonIndexed": 1, "Indexed": 2}
