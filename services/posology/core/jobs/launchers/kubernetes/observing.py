"""From what the API server says about a Job and its pods to what the reconcile loop wants to know."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from posology.core.jobs.domain import Failure, QueueState
from posology.core.jobs.environment import failure_from_text, memory_advice
from posology.core.jobs.exit_codes import PEER_LOST_CODE, STOPPED_CODE
from posology.core.jobs.launchers.base import Observation
from posology.core.jobs.launchers.kubernetes.manifest import CONTAINER, EXPECTED_ANNOTATION, QUEUE_LABEL
from posology.core.kube.pods import STUCK, condition, shortened, unscheduled

Object = Mapping[str, Any]

_TOO_MUCH_DISK = re.compile(r"exceeds? (the|its|total)|exceeded", re.IGNORECASE)
_LONGEST = 300
_ORDERLY = frozenset({0, STOPPED_CODE, PEER_LOST_CODE})
"""Exit codes of pods that did not cause the end of the others."""


def observe(
    job: Object | None, pods: Sequence[Object], *, hindrance: str = "", workload: Object | None = None
) -> Observation:
    """`pods` are those of the Job; `hindrance` is why the cluster makes no pod for it, where it said so;
    `workload` is what Kueue keeps about it, where that may be read."""
    running = [pod for pod in pods if _phase(pod) not in {"Succeeded", "Failed"}]
    if job is None:
        return Observation(alive=True) if running else Observation(alive=False, stopped=True)
    suspended = bool(job["spec"].get("suspend"))
    if running and suspended:
        return Observation(alive=True, where=_preempted(job, workload), queue=QueueState.PREEMPTED)
    if running:
        return replace(_starting_or_running(running), queue=_admitted(job))
    if condition(job, "Failed") or condition(job, "Complete"):
        return _ended(job, pods)
    if suspended:
        return _waiting(job, workload, ran=bool(pods))
    if pods:  # its end is being counted
        return Observation(alive=True)
    return Observation(alive=True, where=_no_pod(hindrance), patient=True, queue=_admitted(job))


def needs_events(job: Object | None, pods: Sequence[Object]) -> bool:
    """Whether only the Job's events can say why nothing happens: a quota, an admission policy."""
    if job is None or pods or job["spec"].get("suspend"):
        return False
    return not (condition(job, "Failed") or condition(job, "Complete"))


def hindrance(events: Iterable[Object]) -> str:
    """The newest reason why the Job controller could make no pod."""
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    newest = max(failed, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default=None)
    return str(newest.get("message", "")) if newest else ""


# --- alive ------------------------------------------------------------------------------------------------


def _starting_or_running(pods: Sequence[Object]) -> Observation:
    """Of several pods, those that wait decide: the others can only wait for them."""
    for pod in pods:
        if (scheduled := condition(pod, "PodScheduled", status="False")) is not None:
            return Observation(alive=True, where=_short(unscheduled(pod, scheduled)), patient=True)
    waiting = next((pod for pod in pods if "running" not in _container(pod).get("state", {})), None)
    if waiting is not None:
        return _starting(waiting)
    nodes = sorted({str(pod["spec"].get("nodeName", "")) for pod in pods})
    return Observation(
        alive=True, where=f"runs on node {nodes[0]}" if len(nodes) == 1 else f"runs on nodes {', '.join(nodes)}"
    )


def _starting(pod: Object) -> Observation:
    state = _container(pod).get("state", {})
    node = pod["spec"].get("nodeName", "")
    waiting = state.get("waiting", {})
    if waiting.get("reason") in STUCK:
        image = pod["spec"]["containers"][0]["image"]
        hindrance = f"can't start on node {node}: {STUCK[waiting['reason']]} ({image}): {waiting.get('message', '')}"
        return Observation(alive=True, where=_short(hindrance))
    if not node:
        return Observation(alive=True, patient=True)
    return Observation(alive=True, where=f"starts on node {node}" if "waiting" in state or not state else "")


def _waiting(job: Object, workload: Object | None, *, ran: bool) -> Observation:
    """Nothing runs, and the queue decides when something will."""
    queue = _queue(job)
    if not queue:
        return Observation(alive=True, where="its Job is suspended", patient=True, queued=True)
    if ran or _evicted(workload):
        where, state = _preempted(job, workload), QueueState.PREEMPTED
    else:
        shortage = _short_of(workload)
        where = _short(f"waits in queue {queue} for its quota{f': {shortage}' if shortage else ''}")
        state = QueueState.QUEUED
    return Observation(alive=True, where=where, patient=True, queued=True, queue=state)


def _preempted(job: Object, workload: Object | None) -> str:
    evicted = _evicted(workload)
    why = f": {evicted['message']}" if evicted else ""
    return _short(f"had to give its place in queue {_queue(job)} back{why}")


def _admitted(job: Object) -> QueueState | None:
    return QueueState.ADMITTED if _queue(job) else None


def _queue(job: Object) -> str:
    return str(job["metadata"].get("labels", {}).get(QUEUE_LABEL, ""))


def _evicted(workload: Object | None) -> Object | None:
    return condition(workload, "Evicted") if workload else None


def _short_of(workload: Object | None) -> str:
    """What Kueue lacks for it, in Kueue's words."""
    pending = condition(workload, "QuotaReserved", status="False") if workload else None
    return str(pending.get("message", "")) if pending else ""


def _no_pod(hindrance: str) -> str:
    return _short(f"the cluster makes no pod for it: {hindrance}") if hindrance else ""


# --- over -------------------------------------------------------------------------------------------------


def _ended(job: Object, pods: Sequence[Object]) -> Observation:
    """The pod that says most decides: one that used too much, then one that was taken away, then the exit codes."""
    codes = [code for pod in pods if (code := _terminated(pod).get("exitCode")) is not None]
    code = next((code for code in codes if code not in _ORDERLY), codes[-1] if codes else None)
    causes = (_out_of_memory(job, pod) or _too_much_disk(pod) or _word(pod) for pod in pods)
    failures = [failure for failure in causes if failure]
    if failures:
        return Observation(alive=False, exit_code=code, failure=failures[0])
    return Observation(alive=False, exit_code=code, stopped=_disrupted(job, pods))


def _word(pod: Object) -> Failure | None:
    """What a process that does not speak to the service left word of."""
    return failure_from_text(str(_terminated(pod).get("message", "")))


def _terminated(pod: Object) -> Object:
    terminated: Object = _container(pod).get("state", {}).get("terminated", {})
    return terminated


def _out_of_memory(job: Object, pod: Object) -> Failure | None:
    if _terminated(pod).get("reason") != "OOMKilled":
        return None
    limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "")
    need = f"more memory than its limit of {limit}" if limit else "more memory than its node had"
    expected = str(job["metadata"].get("annotations", {}).get(EXPECTED_ANNOTATION, ""))
    return Failure("Exhausted", f"the worker needed {need} and was ended (OOMKilled); {memory_advice(expected)}")


def _too_much_disk(pod: Object) -> Failure | None:
    """An eviction that the worker caused itself would be repeated for ever if it did not count."""
    status = pod.get("status", {})
    if status.get("reason") != "Evicted" or not _TOO_MUCH_DISK.search(status.get("message", "")):
        return None
    eviction = f"the worker was evicted, because it filled its disk: {status['message'].strip()}"
    return Failure("Exhausted", f"{eviction} Raise the limit, or give it less to do at once")


def _disrupted(job: Object, pods: Sequence[Object]) -> bool:
    """Ended by a drain, a preemption, a lost node, or somebody's hand; not by a pod that crashed, after which the Job
    takes the others away."""
    failed = condition(job, "Failed") or {}
    if "DisruptionTarget" in str(failed.get("message", "")):
        return True
    if any(_terminated(pod).get("exitCode", 0) not in _ORDERLY and not _taken(pod) for pod in pods):
        return False
    return len(pods) < job["spec"].get("parallelism", 1) or any(_taken(pod) for pod in pods)


def _taken(pod: Object) -> bool:
    """Whether somebody took the pod away, rather than that it ended."""
    return bool(condition(pod, "DisruptionTarget") or pod["metadata"].get("deletionTimestamp"))


# --- reading ----------------------------------------------------------------------------------------------


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _container(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return next((status for status in statuses if status["name"] == CONTAINER), {})


def _short(text: str) -> str:
    return shortened(text, _LONGEST)
