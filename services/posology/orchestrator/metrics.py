"""What `/metrics` says of runs and stages. It is read from the database, so every replica says the same of them."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric

from posology.core.controllers import ControlLoop
from posology.core.store import Database, now
from posology.core.telemetry import Shown
from posology.orchestrator import repository
from posology.orchestrator.domain import Phase, Stage, State

log = logging.getLogger("posology.orchestrator")
SHOWN = Shown()
_SECONDS = 5.0


@dataclass
class Stillness:
    """For how long each running stage has said the same. A replica that starts anew begins at 0: take the maximum."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[tuple[str, str], tuple[object, float]] = field(default_factory=dict)

    def look(self, running: Iterable[tuple[str, Stage]]) -> Mapping[str, float]:
        """Seconds by stage name, of the run whose stage of that name has been still for longest."""
        at, known = self.clock(), self._seen
        self._seen = {}
        for uid, stage in running:
            status = (stage.attempt, stage.reason, stage.progress)
            before = known.get((uid, stage.stage))
            self._seen[uid, stage.stage] = before if before and before[0] == status else (status, at)
        still: dict[str, float] = {}
        for (_, name), (_, since) in self._seen.items():
            still[name] = max(still.get(name, 0.0), at - since)
        return still


def families(
    phases: Mapping[str, int], still: Mapping[str, float], paused: Mapping[str, list[datetime]], at: datetime
) -> Iterator[Metric]:
    """The gauges; every phase is there from the start, so that its first run shows as a rise."""
    runs = GaugeMetricFamily("posology_runs", "Runs by phase.", labels=("phase",))
    for phase in Phase:
        runs.add_metric((phase.value,), phases.get(phase.value, 0))
    quiet = GaugeMetricFamily(
        "posology_stage_still_seconds",
        "How long the running stage that is stillest has said the same.",
        labels=("stage",),
    )
    for stage, seconds in still.items():
        quiet.add_metric((stage,), seconds)
    waiting = GaugeMetricFamily("posology_reviews_waiting", "Stages that wait for people.", labels=("stage",))
    oldest = GaugeMetricFamily("posology_review_oldest_seconds", "How long the first of them has.", labels=("stage",))
    for stage, begun in paused.items():
        waiting.add_metric((stage,), len(begun))
        oldest.add_metric((stage,), max((at - since).total_seconds() for since in begun))
    yield from (runs, quiet, waiting, oldest)


async def watch(db: Database) -> None:
    """Keep the gauges true until cancelled."""
    await ControlLoop("gauges of runs", partial(_show, db, Stillness()), interval=_SECONDS).run()


async def _show(db: Database, stillness: Stillness) -> None:
    async with db.read() as tx:
        phases = await repository.count_by_phase(tx)
        running = await repository.in_state(tx, State.RUNNING)
        paused = await repository.paused_since(tx)
        at = await now(tx)
    SHOWN.show(families(phases, stillness.look(running), paused, at))
