"""What serving needs from the place where agents and engines run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from posology.serving.domain import Status


@dataclass(frozen=True)
class Launch:
    """Everything that one agent with its engine needs to know; names and references, no weights, no keys."""

    replica: str
    """Unique and stable: the same id finds the same agent after a restart of the service."""
    deployment: str
    model: str
    verdict: str
    model_name: str
    engine: Mapping[str, Any]
    token: str
    gpus: int = 0


class Launcher(Protocol):
    """Starts agents and finds them again. Every method is idempotent."""

    async def start(self, launch: Launch) -> None:
        """Start the agent of `launch.replica` unless it runs; returns before it is ready. A place that can replace
        an agent without cutting a request brings one that runs in line with its settings."""
        ...

    async def observe(self, replica: str) -> Status | None:
        """What the agent says, also one that has ended; None when it runs nowhere and left no word."""
        ...

    async def alive(self, replica: str) -> bool:
        """Whether the agent's process still runs."""
        ...

    async def stop(self, replica: str) -> None:
        """Tell the agent to drain, stop its engine and end; returns at once."""
        ...

    async def kill(self, replica: str) -> None:
        """End agent and engine now, whatever runs."""
        ...

    async def forget(self, replica: str) -> None:
        """Remove what an ended agent left behind, but for what tells why it failed."""
        ...
