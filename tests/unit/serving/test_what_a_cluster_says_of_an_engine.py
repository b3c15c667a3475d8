"""From objects of the API server to a state with a reason that a person can act on."""

import json
from typing import Any

from posology.serving.domain import ReplicaState
from posology.serving.kubernetes import observing

URL = "http://engine.ns.svc:8080"


def deployment(replicas: int = 1, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"replicas": replicas}, "status": {"conditions": list(conditions)}}


def pod(
    *,
    agent: dict[str, Any] | None = None,
    engine: dict[str, Any] | None = None,
    conditions: tuple[dict[str, Any], ...] = (),
    leaving: bool = False,
    **status: Any,
) -> dict[str, Any]:
    limits = {"resources": {"limits": {"memory": "4Gi"}, "requests": {"nvidia.com/gpu": "1"}}}
    return {
        "metadata": {"name": "engine-x", **({"deletionTimestamp": "now"} if leaving else {})},
        "spec": {"initContainers": [{"name": "agent"}], "containers": [{"name": "engine", **limits}]},
        "status": {
            "phase": "Running",
            "conditions": list(conditions),
            "initContainerStatuses": [{"name": "agent", **(agent or {})}],
            "containerStatuses": [{"name": "engine", **(engine or {})}],
            **status,
        },
    }


READY = {"type": "Ready", "status": "True"}
STARTED = {"started": True, "state": {"running": {}}}


def said(*pods: dict[str, Any], wanted: int = 1) -> tuple[ReplicaState, str]:
    found = observing.status(deployment(wanted), pods, url=URL)
    return found.state, found.reason


def test_a_pod_goes_from_fetching_to_ready() -> None:
    assert said()[1] == "its pod is being made"
    assert said(pod(agent={"state": {"running": {}}}))[0] is ReplicaState.FETCHING
    loading = pod(agent=STARTED, engine={"state": {"running": {}}})
    assert said(loading)[0] is ReplicaState.STARTING
    assert said(pod(agent=STARTED, engine=STARTED, conditions=(READY,)))[0] is ReplicaState.READY


def test_the_last_word_of_an_agent_that_refused_is_the_reason() -> None:
    word = {"state": "FAILED", "reason": "the verdict is FAIL", "url": "", "running": 0, "final": True, "restarts": 0}
    ended = {"exitCode": 1, "message": json.dumps(word)}
    for state in ({"terminated": ended}, {"waiting": {"reason": "CrashLoopBackOff"}}):
        found = pod(agent={"state": state, "lastState": {"terminated": ended}, "restartCount": 3})
        status = observing.status(deployment(), [found], url=URL)
        assert (status.state, status.reason, status.final) == (ReplicaState.FAILED, "the verdict is FAIL", True)
        assert status.restarts == 3


def test_an_engine_that_needs_more_memory_names_its_limit() -> None:
    killed = {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 1}
    state, reason = said(pod(agent=STARTED, engine=killed))
    assert state is ReplicaState.STARTING
    assert reason.startswith("the engine needed more memory than its limit of 4Gi")


def test_an_engine_that_does_not_start_shows_the_last_line_of_its_log() -> None:
    ended = {"exitCode": 1, "message": "Traceback\n  File x\nRuntimeError: no kernel\n"}
    for found in ({"state": {"terminated": ended}}, {"state": {"running": {}}, "lastState": {"terminated": ended}}):
        state, reason = said(pod(agent=STARTED, engine=found))
        assert state is ReplicaState.STARTING
        assert reason.startswith("the engine ended with status 1 and is started again: RuntimeError: no kernel")


def test_a_pod_without_a_node_says_which_resource_is_missing() -> None:
    message = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    state, reason = said(pod(conditions=({"type": "PodScheduled", "status": "False", "message": message},)))
    assert state is ReplicaState.FETCHING
    assert reason.startswith("waits for a node with enough nvidia.com/gpu (asks for 1): 0/2 nodes")


def test_an_image_that_can_not_be_pulled_is_named() -> None:
    waiting = {"image": "vllm/vllm:x", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    assert said(pod(agent=STARTED, engine=waiting))[1] == "its image can't be pulled (vllm/vllm:x): not found"


def test_why_the_cluster_makes_no_pod_is_said() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    found = observing.status(deployment(1, refused), [], url=URL)
    assert found.reason == "the cluster makes no pod for it: exceeded quota"


def test_one_that_is_rolled_serves_on_and_says_what_hinders_its_successor() -> None:
    waiting = {"image": "x", "state": {"waiting": {"reason": "ErrImagePull", "message": "denied"}}}
    state, reason = said(pod(agent=STARTED, conditions=(READY,)), pod(agent=waiting))
    assert state is ReplicaState.READY
    assert "its successor: its image can't be pulled" in reason


def test_a_pod_that_drains_is_alive_and_one_that_failed_is_not_counted() -> None:
    draining = pod(agent=STARTED, conditions=(READY,), leaving=True)
    assert said(draining, wanted=0)[0] is ReplicaState.DRAINING
    assert observing.is_alive(deployment(0), [draining])
    assert not observing.is_alive(deployment(0), [pod(phase="Failed")])
    assert said(pod(phase="Failed"), wanted=0)[0] is ReplicaState.STOPPED
    assert observing.answers([draining])
    assert not observing.answers([pod(agent=STARTED)])
