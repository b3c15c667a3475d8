"""Moves runs towards their specs: claim, look at every stage that can move, write what changed, let go.

Level-triggered: a pass looks at the state as it is and holds nothing in memory, so any replica can do the next one.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from posology.core import audit
from posology.core.controllers import ControlLoop
from posology.core.errors import Internal, PosologyError, Unavailable
from posology.core.notifications import Signal
from posology.core.rpc import context
from posology.core.rpc.impersonation import act_for
from posology.core.store import Database, Transaction, now
from posology.orchestrator import repository, spans, sweeps, transitions
from posology.orchestrator.artifact_pins import ArtifactPins
from posology.orchestrator.domain import Phase, Run, Stage, phase_of
from posology.orchestrator.driver import Driver
from posology.orchestrator.graph import GRAPH, Node

log = logging.getLogger("posology.orchestrator")


@dataclass
class Reconciler:
    """The loop of one replica."""

    db: Database
    drivers: Mapping[str, Driver]
    pins: ArtifactPins | None = None
    graph: tuple[Node, ...] = GRAPH
    lease_seconds: float = 4.0
    """A replica that vanished is taken over after this."""
    poll_seconds: float = 0.3
    """How often to look for runs that another replica admitted or let go."""
    concurrency: int = 8
    wake: Signal = field(default_factory=Signal)
    """Notify it when a run became due in this process: it is looked at now rather than at the next poll."""
    _passes: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Claim and advance runs until cancelled; a database that is away is waited for."""
        loop = ControlLoop(
            "runs", self.reconcile_once, interval=self.poll_seconds, wake=self.wake, survives=Unavailable
        )
        await loop.run()

    async def reconcile_once(self) -> float | None:
        """Begin passes over the runs that are due longest, as many as there is room for; at once again after any."""
        while len(self._passes) >= self.concurrency:
            await asyncio.wait(self._passes, return_when=asyncio.FIRST_COMPLETED)
        async with self.db.begin() as tx:
            due = await repository.claim(
                tx, lease_seconds=self.lease_seconds, limit=self.concurrency - len(self._passes)
            )
        for run in due:
            task = asyncio.create_task(self._pass(run), name=f"pass {run.name}")
            self._passes.add(task)
            task.add_done_callback(self._passes.discard)
        return 0 if due else None

    async def _pass(self, run: Run) -> None:
        context.run_id.set(run.name)
        spans.enter(run)
        act_for(run.creator)
        keeper = asyncio.create_task(self._keep(run))
        try:
            await self._advance_and_release(run)
        except repository.LostLease:
            log.info("somebody else took over", extra={"run": run.name})
        except Exception:  # the lease runs out and the next pass starts from what is stored
            log.exception("pass given up", extra={"run": run.name})
        finally:
            keeper.cancel()
            self.wake.notify()

    async def _keep(self, run: Run) -> None:
        """Renew the lease while a pass waits for a slow service."""
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            try:
                async with self.db.begin() as tx:
                    await repository.renew(tx, run, lease_seconds=self.lease_seconds)
            except repository.LostLease:
                return  # the pass finds out itself when it writes
            except Unavailable as error:
                log.warning("lease not renewed: %s", error.message, extra={"run": run.name})

    async def _advance_and_release(self, run: Run) -> None:
        run = await self.advance(run)
        spans.enter(run)  # what follows belongs to no stage
        if self.pins is not None and run.phase in (Phase.FAILED, Phase.CANCELLED):
            await self.pins.let_go(run)
        if self.pins is not None and run.phase.ended and "sweep" in run.spec:
            await self._let_doses_go(run)
        async with self.db.begin() as tx:
            await repository.release(tx, run, wake_at=await self._wake_at(tx, run))

    async def _wake_at(self, tx: Transaction, run: Run) -> datetime | None:
        if run.phase.ended:
            return None
        at = await now(tx)
        return at + timedelta(seconds=transitions.requeue_after(run, at=at, graph=self.graph))

    async def _let_doses_go(self, run: Run) -> None:
        """The sweep is over: what of its doses the run uses, it holds itself."""
        assert self.pins is not None
        for name in sweeps.names_of_doses(run):
            async with self.db.read() as tx:
                dose = await repository.get(tx, run.namespace, name)
            await self.pins.let_go(dose)

    async def advance(self, run: Run) -> Run:
        """Look at every stage that can move until none does; each step is written before the next."""
        moved = True
        while moved and not run.phase.ended:
            moved = False
            for name in [stage.stage for stage in transitions.movable(run, self.graph)]:
                before, run = run, await self._step(run, name)
                moved = moved or bool(transitions.between(before, run))
        return run

    async def _step(self, run: Run, name: str) -> Run:
        """The run after one look at one stage; unchanged if nothing moved."""
        stage = next(s for s in run.stages if s.stage == name)
        if stage.state.ended:  # by what an earlier look in this pass led to
            return run
        spans.enter(run, stage)
        try:
            after = await transitions.look(self.db, self.drivers[stage.stage], run, stage)
            await self._hold(run, stage, after)
        except repository.LostLease:
            raise
        except PosologyError as error:
            after = transitions.after_error(stage, error)
        except Exception as error:  # a defect of ours must end the stage, not spin or kill the loop
            log.exception("stage failed", extra={"run": run.name, "stage": stage.stage})
            after = transitions.after_error(
                stage, Internal(f"{type(error).__name__}; the log of the orchestrator has more")
            )
        if after == stage:
            return run
        changed = transitions.consequences(run, after, self.graph)
        async with self.db.begin() as tx:
            at = await now(tx)
            written = await self._write(tx, run, changed, at)
        spans.tell(run, written, at)
        return written

    async def _hold(self, run: Run, before: Stage, observed: Stage) -> None:
        """Before a result is written down, it is held: never the other way round."""
        if self.pins is None or observed.artifact == before.artifact:
            return
        await self.pins.hold(run, observed.artifact)

    async def _write(self, tx: Transaction, run: Run, changed: transitions.Change, at: datetime) -> Run:
        touched = {s.stage: transitions.stamped(s, run.stage(s.stage), at) for s in changed.stages}
        stages = tuple(touched.get(s.stage, s) for s in run.stages)
        phase, message = phase_of(stages, cancelled=bool(run.cancel_reason))
        ended, reductions = at if phase.ended else None, run.reductions + changed.reductions
        after = replace(run, stages=stages, phase=phase, message=message, ended=ended, reductions=reductions)
        await repository.save(tx, after, touched.values())
        await repository.append_events(tx, after, transitions.between(run, after), at=at)
        if phase.ended:
            await audit.append(
                tx, actor="orchestrator", action=f"run.{phase.lower()}", subject=run.name, detail={"reason": message}
            )
        return after
