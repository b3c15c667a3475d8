"""One look at everything: what is meant, what is seen, what follows. Pure, so every case is a line of a test."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, islice

from posology.core.retries import Backoff
from posology.serving.domain import Deployment, Goal, Replica, ReplicaState, State, Status
from posology.serving.traffic import shares


@dataclass(frozen=True)
class Seen:
    """One replica as the launcher sees it."""

    alive: bool
    status: Status | None


@dataclass(frozen=True)
class Rules:
    """Times and limits; see the settings of the same names."""

    canary_step: timedelta
    settle: timedelta
    stop: timedelta
    backoff: Backoff
    start_attempts: int


@dataclass
class Outcome:
    """What the look led to: everything as it is to be, and what to do about it."""

    deployments: list[Deployment]
    replicas: list[Replica]
    start: list[str] = field(default_factory=list)
    stop: list[str] = field(default_factory=list)
    kill: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)


def reconcile(
    deployments: Sequence[Deployment],
    replicas: Sequence[Replica],
    seen: Mapping[str, Seen],
    *,
    now: datetime,
    rules: Rules,
) -> Outcome:
    """Bring states in line with what is seen, share the traffic, and say what to start and stop."""
    outcome = Outcome([], [])
    observed = [_observe(r, seen.get(r.id, Seen(False, None)), now, rules) for r in replicas]
    settled = [_state(d, _of(d, observed), now, rules) for d in deployments]
    shared = _share(settled, now, rules)
    for deployment in shared:
        mine = _of(deployment, observed)
        if deployment.goal is Goal.SERVE:
            _keep_up(deployment, mine, seen, now, rules, outcome)
        else:
            deployment = _wind_down(deployment, mine, seen, now, rules, outcome)
        outcome.deployments.append(deployment)
    return outcome


def _of(deployment: Deployment, replicas: Iterable[Replica]) -> list[Replica]:
    return [r for r in replicas if r.deployment == deployment.name]


def _observe(replica: Replica, seen: Seen, now: datetime, rules: Rules) -> Replica:
    """The replica as it is seen now; one that died waits, longer each time, before it starts again."""
    if replica.state in (ReplicaState.WAITING, ReplicaState.FAILED) and not seen.alive:
        return replica
    status = seen.status
    if seen.alive:
        reported = status or Status(ReplicaState.FETCHING, "the agent starts", replica.url)
        restarts = 0 if reported.state is ReplicaState.READY else max(replica.restarts, reported.restarts)
        # A failure that may be tried again counts once the agent has ended; until then it is on its way out.
        ending = reported.state is ReplicaState.FAILED and not reported.final
        state = ReplicaState.STOPPED if ending else reported.state
        return replace(replica, state=state, reason=reported.reason, url=reported.url, restarts=restarts)
    if status is not None and status.final:
        return replace(replica, state=ReplicaState.FAILED, reason=status.reason, url="")
    if status is not None and status.state is ReplicaState.STOPPED:
        return replace(replica, state=ReplicaState.WAITING, reason=status.reason, url="", start_at=now)
    wait = timedelta(seconds=rules.backoff.pause(replica.restarts + 1))
    why = status.reason if status is not None and status.reason else "the agent ended without a word"
    return replace(
        replica,
        state=ReplicaState.WAITING,
        reason=f"{why}; starts again in {wait.total_seconds():.0f} s",
        url="",
        restarts=replica.restarts + 1,
        start_at=now + wait,
    )


def _state(deployment: Deployment, replicas: Sequence[Replica], now: datetime, rules: Rules) -> Deployment:
    """The state that its replicas make of a deployment that is meant to serve. Those that load asks for come on top
    of those that it is planned with: while one of them is missing, the others answer."""
    staying = [r for r in replicas if r.stop_at is None]
    if deployment.goal is not Goal.SERVE or not staying:
        return deployment
    if (why := _hopeless(deployment, staying, rules)) is not None:
        return replace(deployment, goal=Goal.STOP, state=State.FAILED, reason=why, traffic=0)
    reason = _reason(deployment, staying)
    if _enough(deployment, staying):
        return replace(deployment, state=State.READY, reason=reason, ready_at=deployment.ready_at or now)
    if deployment.state in (State.READY, State.DEGRADED):
        return replace(deployment, state=State.DEGRADED, reason=reason)
    pending = all(r.state is ReplicaState.WAITING for r in staying)
    return replace(deployment, state=State.PENDING if pending else State.STARTING, reason=reason)


def _enough(deployment: Deployment, replicas: Sequence[Replica]) -> bool:
    return sum(r.answers for r in replicas) >= deployment.plan.replicas


def _reason(deployment: Deployment, replicas: Sequence[Replica]) -> str:
    """How many answer, what the first of the others does, and why load asked for so many."""
    parts = [f"{sum(r.answers for r in replicas)} of {max(deployment.wanted, len(replicas))} engines ready"]
    parts += [r.reason or r.state.lower() for r in replicas if not r.answers][:1]
    if deployment.scale is not None and deployment.wanted > deployment.plan.replicas:
        parts.append(deployment.scale.reason)
    return "; ".join(parts)


def _hopeless(deployment: Deployment, replicas: Sequence[Replica], rules: Rules) -> str | None:
    """Why this deployment can't become ready, or None."""
    if _enough(deployment, replicas):
        return None
    for replica in replicas:
        if replica.state is ReplicaState.FAILED:
            return replica.reason
        if deployment.ready_at is None and replica.restarts >= rules.start_attempts:
            return f"the engine failed to start {replica.restarts} times; last: {replica.reason}"
    return None


def _share(deployments: Sequence[Deployment], now: datetime, rules: Rules) -> list[Deployment]:
    """Traffic by model name; what another has replaced is to stop."""
    groups: dict[tuple[str, str], list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault((deployment.namespace, deployment.plan.model_name), []).append(deployment)
    return [d for group in groups.values() for d in _share_one(group, now, rules)]


def _share_one(group: Sequence[Deployment], now: datetime, rules: Rules) -> list[Deployment]:
    shares_of = shares(group, now=now, step=rules.canary_step)
    newest = max(shares_of, key=lambda i: shares_of[i].traffic, default="")
    changed = []
    for deployment in group:
        share = shares_of.get(deployment.id)
        if share is None:
            changed.append(replace(deployment, traffic=0) if deployment.goal is Goal.STOP else deployment)
        elif share.superseded:
            reason = f"replaced by {newest}"
            changed.append(replace(deployment, traffic=0, goal=Goal.STOP, state=State.DRAINING, reason=reason))
        else:
            step_at = deployment.step_at if share.traffic == deployment.traffic else now
            changed.append(replace(deployment, traffic=share.traffic, step_at=step_at))
    return changed


def _keep_up(
    deployment: Deployment,
    replicas: Sequence[Replica],
    sightings: Mapping[str, Seen],
    now: datetime,
    rules: Rules,
    outcome: Outcome,
) -> None:
    """As many replicas as wanted, those that are due started, and those that are too many drained."""
    have = {r.id: r for r in replicas}
    staying = _staying(deployment, replicas)
    for identity in staying:
        replica = have.get(identity) or Replica(identity, deployment.name)
        replica = replace(replica, stop_at=None)  # set where somebody rolled back to it while it drained
        if replica.state is ReplicaState.WAITING and (replica.start_at is None or replica.start_at <= now):
            replica = replace(replica, state=ReplicaState.FETCHING, reason="the agent starts", launched_at=now)
            outcome.start.append(identity)
        outcome.replicas.append(replica)
    for replica in replicas:
        if replica.id not in staying:
            _retire(replica, sightings, now, rules, outcome)


def _staying(deployment: Deployment, replicas: Sequence[Replica]) -> list[str]:
    """Ids of those that are wanted: the ones that answer stay before others, and the first before the later."""
    by_merit = sorted(replicas, key=lambda r: (r.stop_at is not None, r.state is not ReplicaState.READY, _number(r.id)))
    kept = [r.id for r in by_merit[: deployment.wanted]]
    names = (f"{deployment.namespace}.{deployment.id}.{number}" for number in count())
    fresh = (name for name in names if name not in {r.id for r in replicas})
    return sorted([*kept, *islice(fresh, deployment.wanted - len(kept))], key=_number)


def _number(replica: str) -> int:
    return int(replica.rpartition(".")[2])


def _retire(replica: Replica, sightings: Mapping[str, Seen], now: datetime, rules: Rules, outcome: Outcome) -> None:
    """Drain, then end: no engine is told to stop before routes have turned away from it."""
    if not sightings.get(replica.id, Seen(False, None)).alive:
        outcome.gone.append(replica.id)
        outcome.forget.append(replica.id)
        return
    stop_at = replica.stop_at or now
    outcome.replicas.append(replace(replica, stop_at=stop_at))
    if now - stop_at >= rules.stop:
        outcome.kill.append(replica.id)
    elif now - stop_at >= rules.settle:
        outcome.stop.append(replica.id)


def _wind_down(
    deployment: Deployment,
    replicas: Sequence[Replica],
    sightings: Mapping[str, Seen],
    now: datetime,
    rules: Rules,
    outcome: Outcome,
) -> Deployment:
    """Its state once all its replicas were told to go."""
    for replica in replicas:
        _retire(replica, sightings, now, rules, outcome)
    if deployment.state is State.FAILED:
        return deployment
    if not any(r.deployment == deployment.name for r in outcome.replicas):
        return replace(deployment, state=State.STOPPED, traffic=0)
    return replace(deployment, state=State.DRAINING, traffic=0)
