"""What `/metrics` says of deployments and their engines."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric

from posology.core.controllers import ControlLoop
from posology.core.store import Database
from posology.core.telemetry import Shown
from posology.engine import Load
from posology.serving import repository
from posology.serving.autoscaler import Autoscaler
from posology.serving.domain import Deployment, Goal, Replica, State

log = logging.getLogger("posology.serving")
SHOWN = Shown()
_SECONDS = 5.0
_RUNNING = "Requests that engines run, of deployments whose number of engines follows load."
_WAITING = "Requests that wait for an engine, of deployments whose number of engines follows load."


def families(
    states: Mapping[str, int],
    deployments: Sequence[Deployment],
    replicas: Sequence[Replica],
    loads: Mapping[str, Load],
) -> Iterator[Metric]:
    """The gauges; every state is there from the start, so that the first failure shows as a rise."""
    ready = Counter(r.deployment for r in replicas if r.answers)
    by_state = GaugeMetricFamily("posology_deployments", "Deployments by state.", labels=("state",))
    for state in State:
        by_state.add_metric((state.value,), states.get(state.value, 0))
    wanted = GaugeMetricFamily("posology_engines_wanted", "Engines that should serve.", labels=("deployment",))
    serving = GaugeMetricFamily("posology_engines_ready", "Engines that take requests.", labels=("deployment",))
    for deployment in deployments:
        if deployment.goal is Goal.SERVE:
            wanted.add_metric((deployment.name,), deployment.wanted)
            serving.add_metric((deployment.name,), ready[deployment.name])
    yield from (by_state, wanted, serving, *_busy(loads))


def _busy(loads: Mapping[str, Load]) -> Iterator[Metric]:
    """Why deployments are scaled."""
    running = GaugeMetricFamily("posology_engine_requests_running", _RUNNING, labels=("deployment",))
    waiting = GaugeMetricFamily("posology_engine_requests_waiting", _WAITING, labels=("deployment",))
    for deployment, load in loads.items():
        running.add_metric((deployment,), load.running)
        waiting.add_metric((deployment,), load.waiting)
    yield from (running, waiting)


async def watch(db: Database, autoscaler: Autoscaler) -> None:
    """Keep the gauges true until cancelled."""
    await ControlLoop("gauges of deployments", partial(_show, db, autoscaler), interval=_SECONDS).run()


async def _show(db: Database, autoscaler: Autoscaler) -> None:
    async with db.read() as tx:
        states, live = await repository.count_by_state(tx), await repository.live(tx)
        SHOWN.show(families(states, live, await repository.all_replicas(tx), autoscaler.loads))
