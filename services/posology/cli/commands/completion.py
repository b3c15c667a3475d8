"""completion: a script for the shell, and the names that it completes."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

from posology.client import Client, Installation

Names = Callable[[Client], Awaitable[list[str]]]
_SECONDS = 2.0
"""A person waits at the prompt; rather no names than late ones."""


class Shell(StrEnum):
    """Shells with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print the completion script of a shell: source <(posology completion bash)."""
    script = get_completion_script(prog_name="posology", complete_var="_POSOLOGY_COMPLETE", shell=shell.value)
    typer.echo(script)


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of runs."""

    async def names(client: Client) -> list[str]:
        return [run.name.rsplit("/", 1)[1] for run in await client.runs()]

    return _ask(ctx, incomplete, names)


def stages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Stages of the run that is named before."""
    run = str(ctx.params.get("run") or "")

    async def names(client: Client) -> list[str]:
        return [stage.stage for stage in (await client.show(run)).stages] if run else []

    return _ask(ctx, incomplete, names)


def deployments(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of deployments."""

    async def names(client: Client) -> list[str]:
        return [deployment.name.rsplit("/", 1)[1] for deployment in await client.deployments()]

    return _ask(ctx, incomplete, names)


def _ask(ctx: typer.Context, incomplete: str, names: Names) -> list[str]:
    """What begins so; nothing where no service answers: a prompt is no place for errors."""
    options = ctx.find_root().params
    data = Path(options["data"]) if options.get("data") else None

    async def asked() -> list[str]:
        async with Client(Installation.discover(data), namespace=options.get("namespace") or "default") as client:
            return await asyncio.wait_for(names(client), _SECONDS)

    try:
        return [name for name in asyncio.run(asked()) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001
        return []
