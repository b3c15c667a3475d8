"""Submitting a run and staying with it: its story on the terminal, its reviews answered by the scripted reviewer."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from examples.demo.reviewer import KIND, review
from posology.client import Client, load_run
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun, RunEvent, Stage


async def complete(client: Client, file: Path, console: Console, **parameters: str) -> FineTuneRun:
    """Submit the run of `file`, answer its reviews, and return it when it has ended, well or badly."""
    run = await client.submit(load_run(file, parameters=parameters))
    console.print(f"\n[bold]{run.name}[/] is admitted: {', '.join(stage.stage for stage in run.stages)}")
    reviewed: set[str] = set()
    async for event in client.watch(run.name):
        console.print(_line(event), highlight=False)
        for stage in event.run.stages:
            if stage.stage.startswith("review") and stage.state == Stage.PAUSED and stage.resource not in reviewed:
                reviewed.add(stage.resource)
                count = await review(client, stage.resource)
                console.print(f"         {stage.stage}: {count} items rated by an [bold]{KIND}[/]", highlight=False)
    return await client.show(run.name)


def _line(event: RunEvent) -> str:
    at = event.time.ToDatetime().strftime("%H:%M:%S")
    return f"[dim]{at}[/] {event.stage or 'run':<18} {event.state:<10} {escape(event.reason)}"


def stage(run: FineTuneRun, name: str) -> Stage:
    """One stage of a run; an empty one if its spec leaves it out."""
    return next((found for found in run.stages if found.stage == name), Stage())


def seconds(run: FineTuneRun) -> dict[str, float]:
    """How long each stage took, pauses included."""
    return {
        found.stage: round((found.end_time.ToDatetime() - found.start_time.ToDatetime()).total_seconds(), 1)
        for found in run.stages
        if found.HasField("start_time") and found.HasField("end_time")
    }
