"""What the root command's options mean for every other command."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from posology.cli import hints
from posology.cli.output import Writer
from posology.client import Client, Installation

T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """The options of the root command."""

    data: Path | None
    namespace: str
    write: Writer

    @property
    def installation(self) -> Installation:
        """The installation that the options name."""
        return Installation.discover(self.data)

    @property
    def data_dir(self) -> Path:
        """Its data directory."""
        return self.installation.settings.data_dir

    def hint(self, command: str) -> str:
        """A command for people to type next, with the options that were given: `posology --data X runs`."""
        data = ["--data", str(self.data)] if self.data else []
        namespace = ["--namespace", self.namespace] if self.namespace != "default" else []
        return hints.command(command, [*data, *namespace])

    def call(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do something with a connected client."""

        async def connected() -> T:
            async with Client(self.installation, namespace=self.namespace) as client:
                return await work(client)

        return asyncio.run(connected())


def of(context: typer.Context) -> State:
    """The state of a command's context."""
    state: State = context.obj
    return state
