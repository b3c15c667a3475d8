"""How many engines the present load asks for: pure rules, no clock, no network.

The algorithm is that of Kubernetes' HorizontalPodAutoscaler (kubernetes.io/docs/tasks/run-application/
horizontal-pod-autoscale, "Algorithm details"), with vLLM's `num_requests_waiting` as its metric, which is what vLLM's
production-stack, KServe and llm-d give to HPAs as well: desired = ceil(current * metric / target), nothing within a
tolerance of 10%, engines that say nothing count against the change, up at once, down only to the most that was asked
for within the stabilization window. It is here, and not an HPA, because each engine is a Deployment of its own, and
because it is to work without a cluster and without an adapter for metrics.

One rule is added. Engines that keep up have no queue, however busy they are, so a queue alone would take an engine away
from a steady load, and bring it back as soon as requests wait again. How many requests an engine runs while others wait
for it is seen whenever there is a queue; none goes while the others could not run what runs now.
"""

from collections.abc import Sequence

from posology.engine import Load
from posology.serving.domain import Autoscaling

_TOLERANCE_PERCENT = 10


def needed(loads: Sequence[Load], *, wanted: int, target: int, full: int = 0) -> int:
    """Engines that this load asks for, without limits. `loads` are those of engines that said something, `full` is
    what one engine can run at once; 0 = not known."""
    if not loads:
        return wanted
    waiting, silent = sum(load.waiting for load in loads), max(0, wanted - len(loads))
    room = wanted * target
    if waiting > len(loads) * target:
        return _ceil(waiting, target) if _differ(waiting, room) and waiting > room else wanted
    waiting += silent * target
    if not _differ(waiting, room) or waiting > room:
        return wanted
    return max(_ceil(waiting, target), min(wanted, _running(loads, full)))


def full(loads: Sequence[Load], before: int) -> int:
    """Requests that an engine can run: as many as it ran when others waited for it, and any number that one runs now.
    `before` is what was known; 0 as long as none ever waited."""
    held = max((load.running for load in loads if load.waiting), default=0) or before
    return max(held, *(load.running for load in loads)) if held and loads else held


class Stabilization:
    """What was asked for lately. Begins with what there is, so that a service that starts again takes nothing away
    before it has looked for the whole window."""

    def __init__(self, wanted: int, *, at: float) -> None:
        self._asked = [(at, wanted)]

    def settle(self, engines: int, *, wanted: int, rule: Autoscaling, fewest: int, at: float) -> int:
        """Up at once; down to the most that was asked for within the window."""
        engines = max(fewest, min(engines, rule.most))
        self._asked = [(when, asked) for when, asked in self._asked if at - when < rule.down_seconds] + [(at, engines)]
        return engines if engines >= wanted else min(wanted, max(asked for _, asked in self._asked))


def _differ(waiting: int, room: int) -> bool:
    return 100 * abs(waiting - room) > _TOLERANCE_PERCENT * room


def _running(loads: Sequence[Load], full: int) -> int:
    """Engines that it takes to run what runs and waits."""
    return _ceil(sum(load.running + load.waiting for load in loads), full) if full else 0


def _ceil(amount: int, size: int) -> int:
    return -(-amount // size)
