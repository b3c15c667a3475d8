"""From what the API server says about a Deployment and its pods to what the reconcile loop wants to know."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from posology.core.kube.pods import STUCK, condition, shortened, unscheduled
from posology.serving.agent import report
from posology.serving.domain import ReplicaState, Status
from posology.serving.kubernetes.manifest import AGENT, ENGINE

Object = Mapping[str, Any]

_LONGEST = 400


def is_alive(deployment: Object | None, pods: Sequence[Object]) -> bool:
    """Whether a pod runs, ends, or is going to be made."""
    return deployment is not None and (_wanted(deployment) > 0 or any(map(_is_there, pods)))


def answers(pods: Iterable[Object]) -> bool:
    """Whether a pod may have requests under way, so that ending it takes a drain."""
    return any(_is_there(pod) and (_is_ready(pod) or _is_leaving(pod)) for pod in pods)


def status(deployment: Object, pods: Sequence[Object], *, url: str) -> Status:
    """`pods` are those of the Deployment, oldest first."""
    there = [pod for pod in pods if _is_there(pod)]
    staying = [pod for pod in there if not _is_leaving(pod)]
    if not _wanted(deployment):
        return Status(ReplicaState.DRAINING if there else ReplicaState.STOPPED, "told to stop", url)
    ready = [pod for pod in staying if _is_ready(pod)]
    if ready:
        newer = staying[-1]
        rolled = "" if newer in ready else f"; its successor: {_of(newer, url).reason}"
        return Status(ReplicaState.READY, f"verified, probed and healthy{rolled}", url)
    if staying:
        return _of(staying[-1], url)
    return Status(ReplicaState.FETCHING, _no_pod(deployment), url)


def _of(pod: Object, url: str) -> Status:
    """What a pod that is not ready does, or can't do."""
    if (scheduled := condition(pod, "PodScheduled", status="False")) is not None:
        return Status(ReplicaState.FETCHING, _short(unscheduled(pod, scheduled)), url)
    agent, engine = _container(pod, AGENT), _container(pod, ENGINE)
    restarts = int(agent.get("restartCount", 0)) + int(engine.get("restartCount", 0))
    if (ended := _ended(agent)) is not None:
        return _last_word(pod, ended, restarts, url)
    if not agent.get("started"):
        return Status(ReplicaState.FETCHING, _waiting(agent) or "fetching and verifying the weights", url)
    state = _waiting(engine) or "the engine loads the weights, then its probes are replayed"
    if (ended := _ended(engine) or engine.get("lastState", {}).get("terminated")) is not None:
        state = _engine_ended(pod, ended)
    return Status(ReplicaState.STARTING, state, url, restarts=restarts)


def _last_word(pod: Object, ended: Object, restarts: int, url: str) -> Status:
    """What the agent said before it ended; the kubelet starts it again."""
    if ended.get("reason") == "OOMKilled":
        return Status(ReplicaState.FAILED, _out_of_memory(pod, AGENT), url, restarts=restarts)
    try:
        ending = report.from_json(json.loads(ended.get("message") or ""))
    except (ValueError, KeyError, TypeError):
        why = f"the agent ended with status {ended.get('exitCode')}: {ended.get('message') or 'without a word'}"
        return Status(ReplicaState.FAILED, _short(why), url, restarts=restarts)
    return Status(ReplicaState.FAILED, ending.reason, url, final=ending.final, restarts=restarts)


def _engine_ended(pod: Object, ended: Object) -> str:
    """With the last line of its log, which names the error."""
    if ended.get("reason") == "OOMKilled":
        return _out_of_memory(pod, ENGINE)
    lines = [line.strip() for line in str(ended.get("message", "")).splitlines() if line.strip()]
    last_line = f": {_short(lines[-1])}" if lines else ""
    more = f"`kubectl logs {pod['metadata']['name']} -c {ENGINE} --previous` says more"
    return f"the engine ended with status {ended.get('exitCode')} and is started again{last_line} ({more})"


def _out_of_memory(pod: Object, container: str) -> str:
    spec = next(
        c for c in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]) if c["name"] == container
    )
    limit = spec.get("resources", {}).get("limits", {}).get("memory", "")
    needed = f"more memory than its limit of {limit}" if limit else "more memory than its node had"
    return f"the {container} needed {needed} and was ended (OOMKilled); raise the limit in the values of `engines`"


def _waiting(container: Object) -> str:
    """Why a container can't start, "" if nothing hinders it."""
    waiting = container.get("state", {}).get("waiting", {})
    if waiting.get("reason") not in STUCK:
        return ""
    return _short(f"{STUCK[waiting['reason']]} ({container.get('image', '')}): {waiting.get('message', '')}")


def _no_pod(deployment: Object) -> str:
    refused = condition(deployment, "ReplicaFailure", status="True")
    return _short(f"the cluster makes no pod for it: {refused['message']}") if refused else "its pod is being made"


# --- reading ----------------------------------------------------------------------------------------------


def _wanted(deployment: Object) -> int:
    return int(deployment["spec"].get("replicas", 1))


def _is_there(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def _is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _is_ready(pod: Object) -> bool:
    return condition(pod, "Ready", status="True") is not None


def _container(pod: Object, name: str) -> Object:
    status = pod.get("status", {})
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return next((container for container in every if container["name"] == name), {})


def _ended(container: Object) -> Object | None:
    """How it ended, unless it runs again already."""
    state = container.get("state", {})
    if "terminated" in state:
        return dict(state["terminated"])
    if state.get("waiting", {}).get("reason") == "CrashLoopBackOff":
        return dict(container.get("lastState", {}).get("terminated", {}))
    return None


def _short(text: str) -> str:
    return shortened(text, _LONGEST)
