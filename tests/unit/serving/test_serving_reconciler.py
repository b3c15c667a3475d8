"""One look at deployments and replicas: every case of starting, failing, replacing and stopping."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from posology.core.retries import Backoff
from posology.serving.domain import (
    Autoscaling,
    Deployment,
    Goal,
    Plan,
    Replica,
    ReplicaState,
    Rollout,
    Scale,
    State,
    Status,
)
from posology.serving.reconciler import Outcome, Rules, Seen, reconcile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(
    canary_step=timedelta(seconds=60),
    settle=timedelta(seconds=1),
    stop=timedelta(seconds=600),
    backoff=Backoff(first=1, longest=60),
    start_attempts=3,
)


def deployment(name: str = "new", *, age: float = 0, **fields: Any) -> Deployment:
    at = NOW - timedelta(seconds=age)
    plan = fields.pop("plan", Plan("labels"))
    return Deployment(name, "n", "sha256:m", "sha256:v", plan, {}, at, at, **fields)


def replica(of: Deployment, number: int = 0, **fields: Any) -> Replica:
    return Replica(f"n.{of.id}.{number}", of.name, **fields)


def ready(of: Deployment, number: int = 0) -> Replica:
    return replica(of, number, state=ReplicaState.READY, url="http://a")


def seen_ready(url: str = "http://a") -> Seen:
    return Seen(True, Status(ReplicaState.READY, "verified", url))


def look(deployments: list[Deployment], replicas: list[Replica], seen: dict[str, Seen], *, at: float = 0) -> Outcome:
    return reconcile(deployments, replicas, seen, now=NOW + timedelta(seconds=at), rules=RULES)


def test_a_new_deployment_starts_as_many_engines_as_planned() -> None:
    outcome = look([deployment(plan=Plan("labels", replicas=2))], [], {})
    assert outcome.start == ["n.new.0", "n.new.1"]
    assert all(r.state is ReplicaState.FETCHING for r in outcome.replicas)


def test_it_is_ready_when_all_engines_are_and_takes_all_traffic() -> None:
    new = deployment(state=State.STARTING)
    [found] = look([new], [replica(new, state=ReplicaState.PROBING)], {"n.new.0": seen_ready()}).deployments
    assert (found.state, found.traffic, found.ready_at) == (State.READY, 100, NOW)


def test_a_service_that_was_killed_adopts_what_runs_and_starts_nothing() -> None:
    served = deployment(state=State.READY, traffic=100, ready_at=NOW)
    outcome = look([served], [ready(served)], {"n.new.0": seen_ready()})
    assert (outcome.start, outcome.deployments[0].state) == ([], State.READY)


def test_a_dead_engine_starts_again_later_each_time() -> None:
    served = deployment(state=State.READY, traffic=100, ready_at=NOW)
    first = look([served], [ready(served)], {"n.new.0": Seen(False, None)})
    assert first.start == []
    assert (first.deployments[0].state, first.deployments[0].traffic) == (State.DEGRADED, 100)
    [waiting] = first.replicas
    assert (waiting.restarts, waiting.start_at) == (1, NOW + timedelta(seconds=1))
    assert look(first.deployments, [waiting], {}, at=0.5).start == []
    second = look(first.deployments, [waiting], {}, at=1)
    assert second.start == ["n.new.0"]
    third = look(second.deployments, second.replicas, {"n.new.0": Seen(False, None)}, at=2)
    assert third.replicas[0].start_at == NOW + timedelta(seconds=4)


def test_an_engine_that_never_started_is_given_up_after_some_attempts() -> None:
    new = deployment(state=State.STARTING)
    tried = replica(new, state=ReplicaState.STARTING, restarts=2)
    died = Seen(False, Status(ReplicaState.FAILED, "out of memory"))
    [found] = look([new], [tried], {"n.new.0": died}).deployments
    assert (found.state, found.goal) == (State.FAILED, Goal.STOP)
    assert "3 times" in found.reason
    assert "out of memory" in found.reason


def test_an_agent_that_is_about_to_end_is_no_failure_yet() -> None:
    served = deployment(state=State.READY, traffic=100, ready_at=NOW)
    ending = look([served], [ready(served)], {"n.new.0": Seen(True, Status(ReplicaState.FAILED, "the engine is gone"))})
    assert ending.deployments[0].state is State.DEGRADED
    ended = Seen(False, Status(ReplicaState.FAILED, "the engine is gone"))
    found = look(ending.deployments, ending.replicas, {"n.new.0": ended})
    assert (found.deployments[0].state, found.replicas[0].restarts) == (State.DEGRADED, 1)


def test_a_failure_that_starting_again_cant_mend_is_final() -> None:
    new = deployment(state=State.STARTING)
    refused = Seen(False, Status(ReplicaState.FAILED, "weights were altered", final=True))
    [found] = look([new], [replica(new, state=ReplicaState.FETCHING)], {"n.new.0": refused}).deployments
    assert (found.state, found.reason) == (State.FAILED, "weights were altered")


def test_engines_that_a_shutdown_stopped_start_again_without_waiting() -> None:
    served = deployment(state=State.READY, traffic=100, ready_at=NOW)
    stopped = Seen(False, Status(ReplicaState.STOPPED, "told to stop"))
    outcome = look([served], [ready(served)], {"n.new.0": stopped})
    assert outcome.start == ["n.new.0"]
    assert outcome.replicas[0].restarts == 0


def test_the_old_one_serves_until_the_new_one_is_ready_then_drains() -> None:
    old, new = (
        deployment("old", age=100, state=State.READY, traffic=100, ready_at=NOW),
        deployment(state=State.STARTING),
    )
    before = look([old, new], [ready(old), replica(new, state=ReplicaState.STARTING)], _seen(old, new_ready=False))
    assert {d.id: d.traffic for d in before.deployments} == {"old": 100, "new": 0}
    after = look([old, new], [ready(old), replica(new, state=ReplicaState.STARTING)], _seen(old))
    found = {d.id: d for d in after.deployments}
    assert (found["new"].traffic, found["old"].traffic) == (100, 0)
    assert (found["old"].state, found["old"].reason) == (State.DRAINING, "replaced by new")
    assert after.stop == []  # routes turn away first


def test_an_agent_is_told_to_drain_only_after_routes_have_settled() -> None:
    old = deployment("old", goal=Goal.STOP, state=State.DRAINING)
    draining = replace(ready(old), stop_at=NOW)
    seen = {"n.old.0": seen_ready()}
    assert look([old], [draining], seen, at=0.5).stop == []
    assert look([old], [draining], seen, at=1).stop == ["n.old.0"]
    assert look([old], [draining], seen, at=601).kill == ["n.old.0"]


def test_it_is_stopped_when_its_agents_have_ended() -> None:
    old = deployment("old", goal=Goal.STOP, state=State.DRAINING)
    outcome = look([old], [replace(ready(old), stop_at=NOW)], {"n.old.0": Seen(False, None)}, at=5)
    assert (outcome.deployments[0].state, outcome.gone, outcome.forget) == (State.STOPPED, ["n.old.0"], ["n.old.0"])


def test_a_canary_takes_its_steps_in_time() -> None:
    plan = Plan("labels", canary=(5, 25, 100))
    old = deployment("old", age=100, state=State.READY, traffic=100, ready_at=NOW)
    new = deployment(plan=plan, state=State.STARTING)
    shares, state = [], [old, new]
    for seconds in (0, 30, 60, 90, 120):
        state = look(state, [ready(old), ready(new)], _seen(old), at=seconds).deployments
        shares.append({d.id: d.traffic for d in state})
    assert [s["new"] for s in shares] == [5, 5, 25, 25, 100]
    assert [s["old"] for s in shares] == [95, 95, 75, 75, 0]


@pytest.mark.parametrize("canary", [(), (10, 100)])
def test_a_manual_rollout_waits_for_its_promotion(canary: tuple[int, ...]) -> None:
    plan = Plan("labels", rollout=Rollout.MANUAL, canary=canary)
    old = deployment("old", age=100, state=State.READY, traffic=100, ready_at=NOW)
    state = look([old, deployment(plan=plan)], [ready(old)], _seen(old)).deployments
    new = replica(state[1], state=ReplicaState.STARTING)
    for seconds in (0, 1000):
        state = look(state, [ready(old), new], _seen(old), at=seconds).deployments
    assert [d.traffic for d in state] == [100 - (canary or (0,))[0], (canary or (0,))[0]]
    promoted = [state[0], replace(state[1], promoted=True)]
    state = look(promoted, [ready(old), ready(state[1])], _seen(old), at=1001).deployments
    assert [d.traffic for d in state] == [0, 100]


def test_a_rolled_back_deployment_takes_over_only_when_it_is_ready() -> None:
    left = deployment("left", age=50, state=State.READY, traffic=100, ready_at=NOW)
    back = deployment("back", state=State.PENDING, promoted=True, ready_at=NOW - timedelta(days=1))
    starting = replica(back, state=ReplicaState.STARTING)
    seen = {"n.left.0": seen_ready(), "n.back.0": Seen(True, Status(ReplicaState.STARTING))}
    state = look([left, back], [ready(left), starting], seen).deployments
    assert [(d.state, d.traffic) for d in state] == [(State.READY, 100), (State.STARTING, 0)]
    state = look(state, [ready(left), starting], {**seen, "n.back.0": seen_ready()}).deployments
    assert [(d.state, d.traffic) for d in state] == [(State.DRAINING, 0), (State.READY, 100)]


def test_who_is_rolled_back_to_while_it_drains_stays() -> None:
    back = deployment("back", state=State.PENDING, promoted=True, ready_at=NOW)
    draining = replace(ready(back), stop_at=NOW)
    outcome = look([back], [draining], {"n.back.0": seen_ready()}, at=5)
    assert (outcome.stop, outcome.replicas[0].stop_at) == ([], None)


def scaled(wanted: int, **fields: Any) -> Deployment:
    """One that answers, and of which load wants so many engines."""
    plan = Plan("labels", autoscaling=Autoscaling(most=3))
    kept = {"state": State.READY, "traffic": 100, "ready_at": NOW, **fields}
    return deployment(plan=plan, scale=Scale(wanted, "9 requests waited"), **kept)


def test_an_engine_that_load_asks_for_is_started_beside_those_that_answer() -> None:
    served = scaled(2)
    outcome = look([served], [ready(served)], {"n.new.0": seen_ready()})
    assert (outcome.start, outcome.stop) == (["n.new.1"], [])
    assert outcome.deployments[0].reason == "1 of 2 engines ready; 9 requests waited"


def test_one_that_can_not_be_placed_leaves_the_deployment_ready() -> None:
    served = scaled(2)
    pending = replica(served, 1, state=ReplicaState.FETCHING)
    seen = {"n.new.0": seen_ready(), "n.new.1": Seen(True, Status(ReplicaState.FETCHING, "waits for a GPU"))}
    [found] = look([served], [ready(served), pending], seen).deployments
    assert (found.state, found.traffic) == (State.READY, 100)
    assert found.reason == "1 of 2 engines ready; waits for a GPU; 9 requests waited"


def test_one_that_fails_for_good_leaves_the_others_serving() -> None:
    served = scaled(2)
    failed = Seen(False, Status(ReplicaState.FAILED, "probes differ", final=True))
    seen = {"n.new.0": seen_ready(), "n.new.1": failed}
    outcome = look([served], [ready(served), replica(served, 1, state=ReplicaState.PROBING)], seen)
    assert (outcome.deployments[0].state, outcome.start, outcome.stop) == (State.READY, [], [])
    assert "probes differ" in outcome.deployments[0].reason


def test_an_engine_too_many_drains_after_routes_have_left_it_and_is_forgotten() -> None:
    served = scaled(1)
    seen = {"n.new.0": seen_ready(), "n.new.1": seen_ready()}
    first = look([served], [ready(served), ready(served, 1)], seen)
    assert (first.stop, [r.answers for r in first.replicas]) == ([], [True, False])
    second = look(first.deployments, first.replicas, seen, at=1)
    assert (second.stop, second.kill, second.deployments[0].state) == (["n.new.1"], [], State.READY)
    assert second.deployments[0].reason == "1 of 1 engines ready"
    assert look(second.deployments, second.replicas, seen, at=600).kill == ["n.new.1"]
    gone = look(second.deployments, second.replicas, {**seen, "n.new.1": Seen(False, None)}, at=9)
    assert (gone.gone, gone.forget, [r.id for r in gone.replicas]) == (["n.new.1"], ["n.new.1"], ["n.new.0"])


def test_of_too_many_those_go_that_do_not_answer() -> None:
    served = scaled(2)
    starts = Seen(True, Status(ReplicaState.FETCHING, "waits for a GPU"))
    seen = {"n.new.0": seen_ready(), "n.new.1": starts, "n.new.2": seen_ready()}
    waits = replica(served, 1, state=ReplicaState.FETCHING)
    outcome = look([served], [ready(served), waits, ready(served, 2)], seen)
    assert [r.id for r in outcome.replicas if r.stop_at] == ["n.new.1"]


def test_one_that_drains_is_taken_back_when_load_asks_for_it_again() -> None:
    served = scaled(2)
    seen = {"n.new.0": seen_ready(), "n.new.1": seen_ready()}
    outcome = look([served], [ready(served), replace(ready(served, 1), stop_at=NOW)], seen)
    assert (outcome.stop, outcome.start, [r.answers for r in outcome.replicas]) == ([], [], [True, True])


def test_with_fewer_engines_than_planned_it_is_degraded_whatever_load_asks_for() -> None:
    served = scaled(2)
    [found] = look([served], [ready(served), ready(served, 1)], {}).deployments
    assert found.state is State.DEGRADED


def test_model_names_and_namespaces_do_not_meet() -> None:
    one = deployment("one", age=10, state=State.READY, traffic=100, ready_at=NOW)
    two = deployment("two", state=State.STARTING, plan=Plan("other"))
    state = look([one, two], [ready(one), ready(two)], {"n.one.0": seen_ready(), "n.two.0": seen_ready()}).deployments
    assert [d.traffic for d in state] == [100, 100]


def _seen(old: Deployment, *, new_ready: bool = True) -> dict[str, Seen]:
    new = seen_ready("http://b") if new_ready else Seen(True, Status(ReplicaState.STARTING, "loads"))
    return {f"n.{old.id}.0": seen_ready(), "n.new.0": new}
