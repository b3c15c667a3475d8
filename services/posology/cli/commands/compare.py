"""compare: the doses of a sweep, or several runs, beside each other."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from posology.cli import output, show, state, targets
from posology.cli.commands import completion
from posology.client import Client, gate_table
from posology.core.errors import InvalidInput, NotFound, Violation
from posology.core.files import write_atomically
from posology.core.visible import visible
from posology.v1alpha1.evaluation_pb2 import GateResult, Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(help="One run with a sweep, or several runs.", autocompletion=completion.runs)
    ],
    to: Annotated[Path | None, typer.Option("--to", help="Write the picture of a sweep to this HTML file.")] = None,
) -> None:
    """Show the doses of a sweep beside each other, with intervals and the reason; or the gates of several runs."""
    at = state.of(context)
    if to:
        targets.check_file("--to", to)
    if len(runs) == 1:
        _sweep(at, runs[0], to)
        return
    if to:
        raise InvalidInput.of([Violation("--to", "goes with one run that has a sweep; posology report has a run's")])
    _runs(at, runs)


def _sweep(at: state.State, name: str, to: Path | None) -> None:
    from posology.cli.report import page, window  # brings matplotlib, which no other command should wait for

    run = at.call(lambda client: client.show(name))
    if not run.HasField("window"):
        reason = "its sweep has not begun" if run.spec.HasField("sweep") else "it has no sweep"
        raise NotFound(f"{run.name} has no doses to compare: {reason}; name two runs to compare their gates")
    doses = window.of(run.window)
    if to:
        write_atomically(to, page.render_window(run.name, doses).encode())
    if at.write.json:
        at.write.value(run.window, "")
        return
    at.write.rows([], window.COLUMNS, window.rows(doses))
    at.write.console.print(f"[bold]{escape(visible(doses.sentence or run.message))}[/]")
    at.write.note(f"[dim]{window.SELECTED}[/]")
    if to:
        at.write.note(f"the picture is in {escape(str(to))}")


def _runs(at: state.State, names: Sequence[str]) -> None:
    async def work(client: Client) -> list[tuple[FineTuneRun, Verdict | None]]:
        fetched = [await client.show(name) for name in names]
        return [(run, await client.verdict_of(run)) for run in fetched]

    pairs = at.call(work)
    columns = ("GATE", *(run.name.rsplit("/", 1)[1].upper() for run, _ in pairs))
    rows = [("phase", *(show.phase(run) for run, _ in pairs))]
    rows += [(row.label, *map(_cell, row.gates)) for row in gate_table.rows([verdict for _, verdict in pairs])]
    trained = [_training_rows(run) for run, _ in pairs]
    rows.insert(1, ("training rows", *(f"{count:,}" if count else "–" for count in trained)))
    listed = [{"run": run.name, "phase": show.phase(run), "verdict": output.plain(verdict)} for run, verdict in pairs]
    at.write.rows(listed, columns, rows)
    if len(set(trained) - {0}) > 1:
        at.write.note("the runs were not trained on equally many rows: give their specs equal curation.pairs")


def _training_rows(run: FineTuneRun) -> int:
    """As preflight counted them, general ones included; 0 before."""
    reason = next((stage.reason for stage in run.stages if stage.stage == "preflight"), "")
    counted = re.match(r"([\d,]+) training rows", reason)
    return int(counted[1].replace(",", "")) if counted else 0


def _cell(gate: GateResult | None) -> str:
    if gate is None:
        return "–"
    return f"{Verdict.Outcome.Name(gate.outcome)} {gate_table.measured(gate)}".rstrip()
