"""Between database rows and the domain."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from posology.core.errors import Violation
from posology.core.jobs.domain import (
    Event,
    EventKind,
    Failure,
    Job,
    Outcome,
    Product,
    Progress,
    QueueState,
    StagedFile,
    State,
)

_PLAIN = [
    "name",
    "kind",
    "spec",
    "creator",
    "run",
    "trace",
    "traceparent",
    "reason",
    "attempt",
    "failures",
    "wake_at",
    "created_at",
    "updated_at",
    "sequence",
    "started_at",
    "finished_at",
    "artifact",
]


@dataclass(frozen=True)
class Attempt:
    """One attempt as stored. `gone_at` is when nothing of it ran any more; `acknowledged` is the sequence
    number, in the worker's own count, of the last event that is stored; `process` is what attached first."""

    job: str
    attempt: int
    token_hash: str
    handle: Mapping[str, Any] | None
    launched_at: datetime
    attached_at: datetime | None
    heartbeat_at: datetime
    stop_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    exit_code: int | None
    gone_at: datetime | None
    acknowledged: int
    process: str | None = None


def job_from_row(row: RowMapping) -> Job:
    return Job(
        **{name: row[name] for name in _PLAIN},
        request_id=row["request_id"] or "",
        state=State(row["state"]),
        progress=Progress(**row["progress"]) if row["progress"] else None,
        error=_failure(row["error"]) if row["error"] else None,
        product=_product(row["product"]) if row["product"] else None,
        queue_state=QueueState(row["queue_state"]) if row["queue_state"] else None,
    )


def attempt_from_row(row: RowMapping) -> Attempt:
    outcome = Outcome(row["outcome"]) if row["outcome"] else None
    return Attempt(**{**row, "outcome": outcome})


def event_from_row(row: RowMapping) -> Event:
    kind = EventKind(row["kind"])
    return Event(**{**row, "kind": kind, "data": _readable(row["data"]) if kind is EventKind.METRIC else row["data"]})


def to_columns(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Column values for fields of `Job`; dataclasses become JSON."""
    return {name: _column(value) for name, value in changes.items()}


def metric_data(step: int, values: Mapping[str, float]) -> dict[str, Any]:
    """JSON has no NaN: the values that are not finite are stored by name, and read back as floats."""
    stored = {name: value if math.isfinite(value) else str(float(value)) for name, value in values.items()}
    return {"step": step, "values": stored}


def _readable(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": data["step"], "values": {name: float(value) for name, value in data["values"].items()}}


def _column(value: Any) -> Any:
    return asdict(value) if isinstance(value, Progress | Failure | Product) else value


def _failure(stored: Mapping[str, Any]) -> Failure:
    violations = tuple(Violation(**violation) for violation in stored["violations"])
    return Failure(stored["error"], stored["message"], violations)


def _product(stored: Mapping[str, Any]) -> Product:
    files = tuple(StagedFile(**file) for file in stored["files"])
    return Product(**{**stored, "parents": tuple(stored["parents"]), "files": files})
