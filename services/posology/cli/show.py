"""Runs as people read them: one line, a stage table, an event."""

from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape

from posology.core.times import from_timestamp, utc_now
from posology.v1alpha1 import orchestrator_pb2 as pb

_COLOURS = {
    "SUCCEEDED": "green", "FAILED": "red", "CANCELLED": "yellow", "RUNNING": "cyan", "REVIEW_PENDING": "magenta",
    "PAUSED": "magenta", "APPROVAL_PENDING": "magenta",
}  # fmt: skip


def coloured(state: str) -> str:
    """A state's name in its colour."""
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def phase(run: pb.FineTuneRun) -> str:
    """The phase's name."""
    return pb.FineTuneRun.Phase.Name(run.phase)


def state(stage: pb.Stage) -> str:
    """The state's name."""
    return pb.Stage.State.Name(stage.state)


def seconds(stage: pb.Stage) -> float:
    """How long a stage took, or has taken so far."""
    if not stage.HasField("start_time"):
        return 0.0
    end = from_timestamp(stage.end_time) if stage.HasField("end_time") else utc_now()
    return (end - from_timestamp(stage.start_time)).total_seconds()


def stage_rows(run: pb.FineTuneRun) -> list[tuple[str, str, str, str, str]]:
    """Stage, state, time, progress, reason."""
    return [(s.stage, state(s), duration(seconds(s)), progress(s), s.reason) for s in run.stages]


def progress(stage: pb.Stage) -> str:
    """`120/300, 40 s left`, while there is something to say."""
    report = stage.progress
    if stage.state != pb.Stage.RUNNING or not report.total:
        return ""
    time = duration(report.eta_seconds)
    left = f", {time} left" if time else ""
    return f"{report.done:g}/{report.total:g}{left}"


def event_line(event: pb.RunEvent) -> str:
    """One line of a run's story."""
    at = from_timestamp(event.time).astimezone().strftime("%H:%M:%S")
    subject = event.stage or "run"
    return f"[dim]{at}[/] {subject:<18} {coloured(event.state):<10} {escape(event.reason)}"


def duration(value: float) -> str:
    """`8.2 s`, `3 min 20 s`, `2 h 5 min`; empty for nothing."""
    if value < 0.05:
        return ""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def age(created: Timestamp) -> str:
    """How long ago."""
    return duration((utc_now() - from_timestamp(created)).total_seconds())
