"""From Jobs and pods, as API servers describe them, to words and decisions."""

from typing import Any

from posology.core.jobs.domain import QueueState
from posology.core.jobs.launchers.base import Observation
from posology.core.jobs.launchers.kubernetes.observing import hindrance, observe

LIMITS = {"requests": {"nvidia.com/gpu": "8", "memory": "64Gi"}, "limits": {"memory": "64Gi"}}


def job(*, failed: str = "", suspended: bool = False, pods: int = 1, expected: str = "") -> dict[str, Any]:
    conditions = [{"type": "Failed", "status": "True", "message": failed}] if failed else []
    return {
        "metadata": {
            "labels": {"kueue.x-k8s.io/queue-name": "team-a"},
            "annotations": {"posology.dev/expected-memory": expected} if expected else {},
        },
        "spec": {"suspend": suspended, "parallelism": pods},
        "status": {"conditions": conditions},
    }


def pod(phase: str, state: dict[str, Any] | None = None, *, node: str = "", **status: Any) -> dict[str, Any]:
    containers = [{"name": "worker", "state": state}] if state is not None else []
    return {
        "metadata": {},
        "spec": {"nodeName": node, "containers": [{"image": "registry/worker:1", "resources": LIMITS}]},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }


def terminated(code: int, reason: str = "Error", **status: Any) -> dict[str, Any]:
    return pod("Failed", {"terminated": {"exitCode": code, "reason": reason}}, node="gpu", **status)


def test_a_pod_that_no_node_takes_names_the_missing_resource_first() -> None:
    said = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) had untolerated taint {a: b}. preempt"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    found = observe(job(), [pod("Pending", conditions=[condition])])
    assert found.where == f"waits for a node with enough nvidia.com/gpu (asks for 8): {said}"
    assert (found.alive, found.patient, found.queued) == (True, True, False)


def test_a_job_in_its_queue_waits_without_a_clock() -> None:
    found = observe(job(suspended=True), [])
    assert found == Observation(
        alive=True, where="waits in queue team-a for its quota", patient=True, queued=True, queue=QueueState.QUEUED
    )


def workload(kind: str, status: str, message: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status, "message": message}]}}


def test_a_queue_says_what_it_lacks() -> None:
    said = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu, 1 more needed"
    found = observe(job(suspended=True), [], workload=workload("QuotaReserved", "False", said))
    assert found.where == f"waits in queue team-a for its quota: {said}"
    assert found.queue is QueueState.QUEUED


def test_a_worker_with_its_quota_is_admitted() -> None:
    assert observe(job(), [pod("Running", {"running": {}}, node="gpu")]).queue is QueueState.ADMITTED


def test_a_preempted_worker_says_who_took_its_place_while_it_saves_and_afterwards() -> None:
    why = "Preempted to accommodate a workload due to reclamation within the cohort"
    for pods in ([pod("Running", {"running": {}}, node="gpu")], []):
        found = observe(job(suspended=True), pods, workload=workload("Evicted", "True", why))
        assert found.where == f"had to give its place in queue team-a back: {why}"
        assert found.queue is QueueState.PREEMPTED
        assert (found.alive, found.queued) == (True, not pods)


def test_a_job_without_a_pod_says_what_keeps_the_cluster_from_making_it() -> None:
    events = [
        {"reason": "FailedCreate", "message": "exceeded quota: gpus", "lastTimestamp": "2026-01-01T00:00:02Z"},
        {"reason": "FailedCreate", "message": "older", "lastTimestamp": "2026-01-01T00:00:01Z"},
        {"reason": "Other", "message": "other", "lastTimestamp": "2026-01-01T00:00:03Z"},
    ]
    found = observe(job(), [], hindrance=hindrance(events))
    assert found.where == "the cluster makes no pod for it: exceeded quota: gpus"
    assert found.patient


def test_an_image_that_can_not_be_pulled_is_said_and_the_clock_runs() -> None:
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    found = observe(job(), [pod("Pending", state, node="gpu")])
    assert found.where == "can't start on node gpu: its image can't be pulled (registry/worker:1): not found"
    assert not found.patient


def test_a_running_worker_says_where() -> None:
    assert observe(job(), [pod("Running", {"running": {}}, node="gpu")]).where == "runs on node gpu"


def test_too_little_memory_names_the_limit_and_is_final() -> None:
    found = observe(job(failed="x"), [terminated(137, "OOMKilled")])
    assert found.failure is not None
    assert found.failure.final
    assert "more memory than its limit of 64Gi" in found.failure.message


def test_too_little_memory_says_what_the_plan_had_estimated() -> None:
    found = observe(job(failed="x", expected="its plan estimates 80 GiB. Raise it"), [terminated(137, "OOMKilled")])
    assert found.failure is not None
    assert found.failure.message.endswith("ended (OOMKilled); its plan estimates 80 GiB. Raise it")


def test_of_several_pods_the_one_that_waits_decides() -> None:
    waiting = {"type": "PodScheduled", "status": "False", "message": "1 Insufficient nvidia.com/gpu"}
    pods = [pod("Running", {"running": {}}, node="a"), pod("Pending", conditions=[waiting])]
    assert observe(job(pods=2), pods).where.startswith("waits for a node with enough nvidia.com/gpu")
    running = [pod("Running", {"running": {}}, node=node) for node in ("b", "a")]
    assert observe(job(pods=2), running).where == "runs on nodes a, b"


def test_of_several_pods_the_one_that_caused_the_end_decides() -> None:
    alone = terminated(76)
    assert observe(job(failed="x", pods=2), [alone, terminated(1)]).exit_code == 1
    killed = observe(job(failed="x", pods=2), [alone, terminated(137, "OOMKilled")])
    assert killed.failure is not None
    assert observe(job(failed="x", pods=2), [alone]).stopped  # somebody deleted the other one
    crashed = observe(job(failed="x", pods=2), [terminated(139)])  # and the Job took the other one away
    assert (crashed.exit_code, crashed.stopped) == (139, False)


def test_a_drained_or_preempted_pod_is_no_failure() -> None:
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    for found in (
        observe(job(failed="x"), [terminated(137, conditions=disrupted)]),
        observe(job(failed="Pod a has condition DisruptionTarget matching FailJob rule"), []),
        observe(job(failed="x"), []),  # somebody deleted its pod
        observe(None, []),  # somebody deleted its Job
    ):
        assert (found.alive, found.stopped, found.failure) == (False, True, None)


def test_a_worker_that_filled_its_disk_is_not_started_for_ever() -> None:
    said = 'Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". '
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    found = observe(job(failed="x"), [terminated(137, reason="Error", message=said, conditions=disrupted)])
    assert found.stopped  # without kubelet's reason it is an eviction like any other
    evicted = terminated(137)
    evicted["status"] |= {"reason": "Evicted", "message": said}
    failure = observe(job(failed="x"), [evicted]).failure
    assert failure is not None
    assert failure.final
    assert 'EmptyDir volume "scratch" exceeds the limit "1Gi"' in failure.message


def test_an_exit_code_is_passed_on_while_a_pod_is_still_ending_it_is_alive() -> None:
    found = observe(job(failed="x"), [terminated(1)])
    assert (found.alive, found.exit_code, found.stopped) == (False, 1, False)
    assert observe(job(failed="x"), [pod("Running", {"running": {}}, node="gpu")]).alive
    assert observe(None, [pod("Running", {"running": {}}, node="gpu")]).alive
