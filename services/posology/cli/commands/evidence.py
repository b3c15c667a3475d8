"""report, explain, recall, verify."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from posology.cli import state


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)


def report(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The run's name.")],
    to: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page about a run: verdict, gates, curves, data, lineage; also while it runs."""
    from posology.cli import report as page  # brings matplotlib, which no other command should wait for

    at = state.of(context)
    found = at.call(lambda client: page.gather(client, run))
    to.write_text(page.render(found), encoding="utf-8")
    at.write.value({"path": str(to), **asdict(found)}, f"{to}: {found.run} {found.headline}")
