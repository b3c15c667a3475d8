"""From what the API server says about a Job and its pods to what the reconcile loop wants to know."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from posology.core.jobs.domain import Failure
from posology.core.jobs.kubernetes.manifest import CONTAINER, QUEUE_LABEL
from posology.core.jobs.launcher import Observation

Object = Mapping[str, Any]

_STUCK = {
    "ErrImagePull": "its image can't be pulled",
    "ImagePullBackOff": "its image can't be pulled",
    "InvalidImageName": "the name of its image is wrong",
    "ErrImageNeverPull": "its image is not on the node",
    "CreateContainerConfigError": "its container can't be configured",
    "CreateContainerError": "its container can't be made",
    "RunContainerError": "its container can't be started",
}
_TOO_MUCH_DISK = re.compile(r"exceeds? (the|its|total)|exceeded", re.IGNORECASE)
_SHORT = re.compile(r"Insufficient ([A-Za-z0-9./_-]*[A-Za-z0-9])")
_LONGEST = 300


def observe(job: Object | None, pods: Sequence[Object], *, hindrance: str = "") -> Observation:
    """`pods` are those of the Job; `hindrance` is why the cluster makes no pod for it, where it said so."""
    running = [pod for pod in pods if _phase(pod) not in {"Succeeded", "Failed"}]
    if job is None:
        return Observation(alive=True) if running else Observation(alive=False, stopped=True)
    if running:
        return _starting_or_running(running[0])
    if _condition(job, "Failed") or _condition(job, "Complete"):
        return _ended(job, pods)
    if job["spec"].get("suspend"):
        return Observation(alive=True, where=_queue(job), patient=True, queued=True)
    if pods:  # its end is being counted
        return Observation(alive=True)
    return Observation(alive=True, where=_no_pod(hindrance), patient=True)


def needs_events(job: Object | None, pods: Sequence[Object]) -> bool:
    """Whether only the Job's events can say why nothing happens: a quota, an admission policy."""
    if job is None or pods or job["spec"].get("suspend"):
        return False
    return not (_condition(job, "Failed") or _condition(job, "Complete"))


def hindrance(events: Iterable[Object]) -> str:
    """The newest reason why the Job controller could make no pod."""
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    newest = max(failed, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default=None)
    return str(newest.get("message", "")) if newest else ""


# --- alive ------------------------------------------------------------------------------------------------


def _starting_or_running(pod: Object) -> Observation:
    scheduled = _condition(pod, "PodScheduled", status="False")
    if scheduled is not None:
        return Observation(alive=True, where=_unscheduled(pod, scheduled), patient=True)
    state = _container(pod).get("state", {})
    node = pod["spec"].get("nodeName", "")
    if "running" in state:
        return Observation(alive=True, where=f"runs on node {node}")
    waiting = state.get("waiting", {})
    if waiting.get("reason") in _STUCK:
        image = pod["spec"]["containers"][0]["image"]
        said = f"can't start on node {node}: {_STUCK[waiting['reason']]} ({image}): {waiting.get('message', '')}"
        return Observation(alive=True, where=_short(said))
    if not node:
        return Observation(alive=True, patient=True)
    return Observation(alive=True, where=f"starts on node {node}" if "waiting" in state or not state else "")


def _unscheduled(pod: Object, condition: Object) -> str:
    """Names the resource that is missing first, then what the scheduler said."""
    message = str(condition.get("message", ""))
    missing = sorted(set(_SHORT.findall(message)))
    asked = pod["spec"]["containers"][0].get("resources", {}).get("requests", {})
    named = [f"{name} (asks for {asked[name]})" if name in asked else name for name in missing]
    said = f"waits for a node with enough {', '.join(named)}" if named else "waits for a node that takes it"
    return _short(f"{said}: {message}" if message else said)


def _queue(job: Object) -> str:
    queue = job["metadata"].get("labels", {}).get(QUEUE_LABEL)
    return f"waits in queue {queue} for its quota" if queue else "its Job is suspended"


def _no_pod(hindrance: str) -> str:
    return _short(f"the cluster makes no pod for it: {hindrance}") if hindrance else ""


# --- over -------------------------------------------------------------------------------------------------


def _ended(job: Object, pods: Sequence[Object]) -> Observation:
    pod = pods[-1] if pods else None
    terminated = _container(pod).get("state", {}).get("terminated", {}) if pod else {}
    code = terminated.get("exitCode")
    if pod is not None and terminated.get("reason") == "OOMKilled":
        return Observation(alive=False, exit_code=code, failure=_out_of_memory(pod))
    if pod is not None and (failure := _too_much_disk(pod)):
        return Observation(alive=False, exit_code=code, failure=failure)
    return Observation(alive=False, exit_code=code, stopped=_disrupted(job, pod))


def _out_of_memory(pod: Object) -> Failure:
    limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "")
    said = f"more memory than its limit of {limit}" if limit else "more memory than its node had"
    return Failure(
        "Exhausted",
        f"the worker needed {said} and was ended (OOMKilled); raise the memory limit of this kind of job, or give it "
        "less to do at once",
    )


def _too_much_disk(pod: Object) -> Failure | None:
    """An eviction that the worker caused itself would be repeated for ever if it did not count."""
    status = pod.get("status", {})
    if status.get("reason") != "Evicted" or not _TOO_MUCH_DISK.search(status.get("message", "")):
        return None
    said = f"the worker was evicted, because it filled its disk: {status['message'].strip()}"
    return Failure("Exhausted", f"{said} Raise the limit, or give it less to do at once")


def _disrupted(job: Object, pod: Object | None) -> bool:
    """Ended by a drain, a preemption, a lost node, or somebody's hand."""
    if pod is None:
        return True
    if _condition(pod, "DisruptionTarget") or pod["metadata"].get("deletionTimestamp"):
        return True
    failed = _condition(job, "Failed") or {}
    return "DisruptionTarget" in str(failed.get("message", ""))


# --- reading ----------------------------------------------------------------------------------------------


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _condition(found: Object, kind: str, *, status: str = "True") -> Object | None:
    for condition in found.get("status", {}).get("conditions") or ():
        if condition["type"] == kind and condition["status"] == status:
            return dict(condition)
    return None


def _container(pod: Object) -> Object:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return next((status for status in statuses if status["name"] == CONTAINER), {})


def _short(said: str) -> str:
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
