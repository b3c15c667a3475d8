"""Follows the load of engines: what they say goes through the rules of `scaling`, what follows into the database."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posology.core import audit
from posology.core.controllers import ControlLoop
from posology.core.notifications import Signal
from posology.core.store import Database, Transaction
from posology.engine import Load
from posology.serving import repository
from posology.serving.domain import Autoscaling, Deployment, Goal, Replica, Scale
from posology.serving.engine_load import Loads
from posology.serving.scaling import Stabilization, full, needed

log = logging.getLogger("posology.serving")
ACTOR = "serving"


@dataclass(frozen=True)
class _Watched:
    """A deployment that load may scale, and its engines that take requests."""

    deployment: Deployment
    rule: Autoscaling
    replicas: Sequence[Replica]


class Autoscaler:
    """Sets how many engines a deployment wants; the controller starts and drains them."""

    def __init__(self, db: Database, wake: Signal, ask: Loads, *, every: float) -> None:
        self._db = db
        self._ask = ask
        self._wake = wake
        self._loop = ControlLoop("load of deployments", self.reconcile_once, interval=every)
        self._lately: dict[str, Stabilization] = {}
        self._full: dict[str, int] = {}
        self.loads: Mapping[str, Load] = {}
        """Requests that run and wait at each deployment, as last seen."""

    async def run(self) -> None:
        """Look until cancelled."""
        await self._loop.run()

    async def reconcile_once(self) -> None:
        """One round: ask every engine, decide, write down what changed."""
        watched = await self._watched()
        loads_of = dict(zip(watched, await asyncio.gather(*map(self._said, watched.values())), strict=True))
        self.loads = {name: _sum(loads) for name, loads in loads_of.items() if loads}
        self._forget(watched)
        for name, one in watched.items():
            scale = self._decide(one, loads_of[name], at=time.monotonic())
            if scale.wanted != one.deployment.wanted:
                await self._change(one.deployment, scale)

    async def _watched(self) -> dict[str, _Watched]:
        async with self._db.read() as tx:
            deployments, replicas = await repository.live(tx), await repository.all_replicas(tx)
        return {
            d.name: _Watched(d, rule, [r for r in replicas if r.deployment == d.name and r.answers])
            for d in deployments
            if d.goal is Goal.SERVE and d.ready_at is not None and (rule := d.plan.autoscaling) is not None
        }

    async def _said(self, one: _Watched) -> list[Load]:
        answers = await asyncio.gather(*(self._ask.of(r.url, one.deployment.token) for r in one.replicas))
        return [load for load in answers if load is not None]

    def _forget(self, watched: Mapping[str, _Watched]) -> None:
        for name in self._lately.keys() - watched.keys():
            del self._lately[name], self._full[name]

    def _decide(self, one: _Watched, loads: Sequence[Load], *, at: float) -> Scale:
        """What the load of this moment and of the time before it asks for."""
        deployment, rule, name = one.deployment, one.rule, one.deployment.name
        known = deployment.scale.full if deployment.scale else 0
        lately = self._lately.setdefault(name, Stabilization(deployment.wanted, at=at))
        self._full[name] = full(loads, self._full.get(name, known))
        engines = needed(loads, wanted=deployment.wanted, target=rule.target, full=self._full[name])
        settled = lately.settle(engines, wanted=deployment.wanted, rule=rule, fewest=deployment.plan.replicas, at=at)
        return Scale(settled, _why(one, loads, settled), self._full[name])

    async def _change(self, before: Deployment, scale: Scale) -> None:
        async with self._db.begin() as tx:
            present = await repository.get(tx, namespace=before.namespace, deployment_id=before.id)
            if present.goal is not Goal.SERVE or present.wanted != before.wanted:
                return  # somebody was faster; the next look sees it
            await repository.save_scale(tx, present, scale)
            await _record(tx, present, scale)
        self._wake.notify()


async def _record(tx: Transaction, before: Deployment, scale: Scale) -> None:
    """Audit and log a change with its reason."""
    detail = {"from": before.wanted, "to": scale.wanted, "reason": scale.reason}
    log.info("scaled", extra={"deployment": before.name, **detail})
    await audit.append(tx, actor=ACTOR, action="Scale", subject=before.name, detail=detail)


def _sum(loads: Sequence[Load]) -> Load:
    return Load(sum(load.running for load in loads), sum(load.waiting for load in loads))


def _why(one: _Watched, loads: Sequence[Load], engines: int) -> str:
    load = _sum(loads)
    if engines > one.deployment.wanted:
        return f"{load.waiting} requests waited for {_engines(len(loads))}; the target is {one.rule.target} for each"
    return f"for {one.rule.down_seconds} s {_engines(engines)} would have been enough"


def _engines(number: int) -> str:
    return "1 engine" if number == 1 else f"{number} engines"
