"""A graph of no-op stages for tests and benchmarks of the controller itself; the stages of the product are real."""

import asyncio
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import insert as insert_or_ignore

from posology.core.store import Database
from posology.orchestrator.domain import Observation, Phase, Run, Stage, State
from posology.orchestrator.driver import request_id
from posology.orchestrator.graph import Node, stages_of
from posology.orchestrator.reconciler import Reconciler

SPEC: dict[str, Any] = {"curation": {}, "training": {}, "evaluation": {}, "startTraining": "AFTER_REVIEW"}
GRAPH = (
    Node("first", lambda spec: ()),
    Node("second", lambda spec: ("first",)),
    Node("third", lambda spec: ("second",)),
)


@dataclass
class Noop:
    """Succeeds at once; `effects` remembers each request id, as a service would."""

    effects: Any = None
    pause: float = 0.0

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Never reused."""
        return None

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Done."""
        if self.effects is not None:
            await self.effects(request_id(run, stage))
        if self.pause:
            await asyncio.sleep(random.uniform(0, self.pause))
        return Observation(State.SUCCEEDED, "done", artifact=f"sha256:{stage.stage}")

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """Done."""
        return Observation(State.SUCCEEDED, "done", artifact=f"sha256:{stage.stage}")

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Nothing runs."""


def new_run(number: int, *, spec: Mapping[str, Any] = SPEC, graph: tuple[Node, ...] = GRAPH) -> Run:
    """A run of no-op stages."""
    return Run(
        uid=f"u{number:011d}", namespace="default", run_id=f"run-{number}", spec=spec, spec_sha256="", labels={},
        phase=Phase.PENDING, message="admitted", creator="test", request_id=f"request-{number}", cancel_reason="",
        approvals={}, reductions=0, created=datetime.now(UTC), ended=None, version=0,
        stages=stages_of(spec, graph),
    )  # fmt: skip


def reconciler(db: Database, driver: Any, **options: Any) -> Reconciler:
    """A replica whose stages are all `driver`."""
    return Reconciler(db, {node.stage: driver for node in GRAPH}, graph=GRAPH, **options)


# What the work left behind, in a table of its own: the primary key is the request id, as in a real service.
side = MetaData()
effects = Table("effects", side, Column("request_id", Text, primary_key=True), Column("pid", Text))


async def replica(url: str) -> None:
    """A process that reconciles until it is killed."""
    db = Database(url, schema="orchestrator")

    async def remember(request: str) -> None:
        async with db.begin() as tx:
            values = {"request_id": request, "pid": str(os.getpid())}
            await tx.execute(insert_or_ignore(effects).values(**values).on_conflict_do_nothing())

    await reconciler(db, Noop(remember, pause=0.3), lease_seconds=0.6, poll_seconds=0.05).run()


if __name__ == "__main__":
    asyncio.run(replica(sys.argv[1]))
