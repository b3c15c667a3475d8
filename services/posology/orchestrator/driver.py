"""What the reconciler needs from a stage: inputs, start, observe, cancel."""

from collections.abc import Mapping
from typing import Any, Protocol

from posology.orchestrator.domain import Observation, Run, Stage


class Driver(Protocol):
    """Drives one kind of stage through the service that does the work. Every method is safe to repeat."""

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """Everything that decides the result, as JSON; None = never reuse an earlier result."""

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the work, once per `request_id(run, stage)`; a repeated call finds the first request."""

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the work stands."""

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the work; nothing happens if there is none."""


def request_id(run: Run, stage: Stage) -> str:
    """The same for every repetition of one attempt, by whichever replica."""
    return f"{run.uid}/{stage.stage}/{stage.attempt}"


def resource_id(run: Run, stage: Stage) -> str:
    """Last part of the name of the resource that does the work."""
    return f"{stage.stage}-{run.uid}-{stage.attempt}"
