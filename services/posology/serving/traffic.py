"""How the requests for one model name are shared among its deployments: pure rules, no clock, no database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from posology.serving.domain import Deployment, Goal, Rollout, State

_ANSWERING = (State.READY, State.DEGRADED)


@dataclass(frozen=True)
class Share:
    """What a deployment's traffic becomes, and whether it is to drain because another took all."""

    traffic: int
    superseded: bool = False


def shares(deployments: Sequence[Deployment], *, now: datetime, step: timedelta) -> dict[str, Share]:
    """The share of each deployment of one model name, by id; they sum to 100 as soon as one answers.

    The one asked for last that answers takes over: at once, or by its canary's steps, each held for `step`,
    or, rolled out MANUAL, not before it is promoted. The one before keeps the rest until all is taken.
    """
    answering = sorted((d for d in deployments if _answers(d)), key=lambda d: d.asked_at)
    if not answering:
        return {}
    *older, newest = answering
    if not older:
        return {newest.id: Share(100)}
    mine = _wanted(newest, now, step)
    if mine == 100:
        return {newest.id: Share(100)} | {d.id: Share(0, superseded=True) for d in older}
    keeper = max(older, key=lambda d: (d.traffic, d.asked_at))
    rest = {d.id: Share(0, superseded=d.asked_at < keeper.asked_at) for d in older if d is not keeper}
    return {newest.id: Share(mine), keeper.id: Share(100 - mine)} | rest


def _answers(deployment: Deployment) -> bool:
    return deployment.goal is Goal.SERVE and deployment.state in _ANSWERING


def _wanted(deployment: Deployment, now: datetime, step: timedelta) -> int:
    """The percent that a deployment which takes over should have now."""
    steps = deployment.plan.canary
    if deployment.promoted:
        return 100
    if not steps:
        return 100 if deployment.plan.rollout is Rollout.AUTO else deployment.traffic
    first = next((s for s in steps if s > deployment.traffic), 100)
    if deployment.traffic == 0:
        return first
    held = deployment.step_at is not None and now - deployment.step_at >= step
    if deployment.plan.rollout is Rollout.AUTO and held and deployment.state is State.READY:
        return first
    return deployment.traffic
