"""The loop that makes deployments true: level-triggered, everything it knows is in the database."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from posology.core import audit
from posology.core.controllers import ControlLoop
from posology.core.notifications import Signal
from posology.core.retries import Backoff
from posology.core.store import Database, Transaction, now
from posology.serving import repository
from posology.serving.domain import Deployment, Goal, Replica
from posology.serving.launcher import Launch, Launcher
from posology.serving.reconciler import Outcome, Rules, Seen, reconcile
from posology.serving.settings import Settings

log = logging.getLogger("posology.serving")
_NODE_SECONDS = 60.0
ACTOR = "serving"
"""Who the audit names for what follows from observation, not from a call."""


def rules_of(settings: Settings) -> Rules:
    return Rules(
        canary_step=timedelta(seconds=settings.canary_step_seconds),
        settle=timedelta(seconds=settings.settle_seconds),
        stop=timedelta(seconds=_stop_seconds(settings)),
        backoff=Backoff(first=settings.backoff_seconds, longest=60.0),
        start_attempts=settings.start_attempts,
    )


def _stop_seconds(settings: Settings) -> float:
    """A kubelet ends a pod that overstays its grace by itself, unless its node is gone."""
    pods = settings.engine_pods if settings.launcher == "kubernetes" else None
    return settings.stop_seconds if pods is None else pods.grace_seconds + _NODE_SECONDS


class Controller:
    """Looks, decides in one transaction, acts. Killed anywhere, the next look goes on from there."""

    def __init__(self, db: Database, launcher: Launcher, *, rules: Rules, tick: float) -> None:
        self._db = db
        self._launcher = launcher
        self._rules = rules
        self._leaving = False
        self._broken = False
        self.wake = Signal()
        """Notify it to have a look now."""
        self.changed = Signal()
        """Notified when a deployment or one of its engines changed."""
        self._loop = ControlLoop("deployments", self.reconcile_once, interval=tick, wake=self.wake)
        self.looked = asyncio.Event()
        """Set after the first look: before it, the database may speak of engines that died with the machine."""

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            await self._loop.run()
        except Exception:
            self._broken = True
            raise

    async def reconcile_once(self) -> None:
        """One round; none once the engines are being stopped."""
        if self._leaving:
            return
        async with self._db.read() as tx:
            known = await repository.all_replicas(tx)
        sightings = await self._see(known)
        async with self._db.begin() as tx:
            outcome, changed = await self._decide(tx, sightings)
        await self._act(outcome)
        if not self.looked.is_set():
            await self._adopt(outcome, sightings)
        self.looked.set()
        if changed:
            self.changed.notify()

    async def _adopt(self, outcome: Outcome, sightings: Mapping[str, Seen]) -> None:
        """Engines that an earlier process of this service started may look otherwise than they are to look now."""
        for deployment in (d for d in outcome.deployments if d.goal is Goal.SERVE):
            for replica in (r for r in outcome.replicas if r.deployment == deployment.name):
                if replica.stop_at is None and replica.id in sightings and sightings[replica.id].alive:
                    await self._start(launch_of(replica.id, deployment))

    async def stop_engines(self, *, within: float) -> None:
        """Drain and end every agent, for a machine that goes down; their deployments stay wanted.

        A service that ends by a defect of its own leaves them serving: the next one adopts them.
        """
        if self._broken:
            return
        self._leaving = True
        async with self._db.read() as tx:
            known = [r.id for r in await repository.all_replicas(tx)]
        for replica in known:
            await self._launcher.stop(replica)
        try:
            async with asyncio.timeout(within):
                await self._ended(known)
        except TimeoutError:
            log.warning("engines still ran after %.0f s and were killed", within)
            for replica in known:
                await self._launcher.kill(replica)

    async def _ended(self, replicas: Sequence[str]) -> None:
        # Polled, because other processes set no event of ours.
        while any([await self._launcher.alive(replica) for replica in replicas]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _start(self, launch: Launch) -> None:
        try:
            await self._launcher.start(launch)
        except OSError as error:
            # A full disk, say: the next look finds no agent and tries again, later each time.
            log.warning("could not start %s: %s", launch.replica, error)

    async def _see(self, replicas: Sequence[Replica]) -> Mapping[str, Seen]:
        async def one(replica: Replica) -> Seen:
            # Life first: an agent that ends between the two looks has left its last word by then.
            alive = await self._launcher.alive(replica.id)
            return Seen(alive, await self._launcher.observe(replica.id))

        sightings = await asyncio.gather(*(one(r) for r in replicas))
        return {replica.id: seen for replica, seen in zip(replicas, sightings, strict=True)}

    async def _decide(self, tx: Transaction, sightings: Mapping[str, Seen]) -> tuple[Outcome, bool]:
        """Reconcile what the database holds now with what was seen, and write what changed."""
        deployments, replicas = await repository.live(tx), await repository.all_replicas(tx)
        # A replica that appeared after the look has not been seen; leave it to the next one.
        known = [r for r in replicas if r.id in sightings]
        outcome = reconcile(deployments, known, sightings, now=await now(tx), rules=self._rules)
        changed = await self._write(tx, outcome, {d.name: d for d in deployments}, {r.id: r for r in replicas})
        return outcome, changed

    async def _write(
        self,
        tx: Transaction,
        outcome: Outcome,
        before: Mapping[str, Deployment],
        replicas: Mapping[str, Replica],
    ) -> bool:
        moved = [d for d in outcome.deployments if d != before[d.name]]
        for deployment in moved:
            await repository.save(tx, deployment)
        fresh = [r for r in outcome.replicas if r != replicas.get(r.id)]
        for replica in fresh:
            await repository.put_replica(tx, replica)
        for replica_id in outcome.gone:
            await repository.drop_replica(tx, replica_id)
        for deployment in moved:
            await _record(tx, before[deployment.name], deployment)
        return bool(moved or fresh or outcome.gone)

    async def _act(self, outcome: Outcome) -> None:
        by_name = {d.name: d for d in outcome.deployments}
        owners = {r.id: by_name[r.deployment] for r in outcome.replicas}
        for replica in outcome.start:
            await self._start(launch_of(replica, owners[replica]))
        for replica in outcome.stop:
            await self._launcher.stop(replica)
        for replica in outcome.kill:
            await self._launcher.kill(replica)
        for replica in outcome.forget:
            await self._launcher.forget(replica)


async def _record(tx: Transaction, before: Deployment, after: Deployment) -> None:
    """Audit a change of state or of traffic, with its reason."""
    if (before.state, before.traffic) == (after.state, after.traffic):
        return
    log.info("deployment", extra={"deployment": after.name, "state": str(after.state), "reason": after.reason})
    detail = {
        "from": str(before.state),
        "to": str(after.state),
        "traffic": [before.traffic, after.traffic],
        "reason": after.reason,
    }
    await audit.append(tx, actor=ACTOR, action="Observe", subject=after.name, detail=detail)


def launch_of(replica: str, deployment: Deployment) -> Launch:
    return Launch(
        replica=replica,
        deployment=deployment.name,
        model=deployment.model,
        verdict=deployment.verdict,
        model_name=deployment.plan.model_name,
        engine=deployment.engine,
        token=deployment.token,
        gpus=deployment.plan.gpus,
    )
