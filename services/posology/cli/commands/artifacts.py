"""push, gc."""

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import state
from posology.core.errors import InvalidInput, Violation


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(push)
    app.command()(gc)


def push(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to publish, for example a Hugging Face model.")],
    kind: Annotated[str, typer.Option(help="Kind of the artifact.")] = "base-model",
) -> None:
    """Publish a folder as an artifact; use it as baseModel.uri: artifact:sha256:..."""
    at = state.of(context)
    if not folder.is_dir():
        raise InvalidInput.of([Violation("folder", f"{folder} is no folder")])
    made = at.call(lambda client: client.push(folder, kind=kind))
    at.write.value(made, made.digest)


def gc(
    context: typer.Context,
    older_than: Annotated[int, typer.Option(help="Only artifacts older than this many seconds.")] = 24 * 3600,
    delete: Annotated[bool, typer.Option(help="Really delete; without it, only say what would go.")] = False,
) -> None:
    """Delete artifacts that no run, deployment or person holds."""
    at = state.of(context)
    collected = at.call(lambda client: client.gc(older_than_seconds=older_than, dry_run=not delete))
    verb = "were deleted" if delete else "would be deleted (posology gc --delete)"
    text = f"{len(collected.digests)} artifacts, {collected.freed_bytes / 2**20:,.1f} MiB {verb}."
    at.write.value(collected, "\n".join([*collected.digests, text]))
