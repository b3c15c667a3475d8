"""Moments: aware, in UTC, and how they are written."""

from datetime import UTC, datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp


def utc_now() -> datetime:
    """This machine's clock; what compares between replicas asks the database (`core.store.now`)."""
    return datetime.now(UTC)


@overload
def to_timestamp(moment: datetime) -> Timestamp: ...
@overload
def to_timestamp(moment: None) -> None: ...
@overload
def to_timestamp(moment: datetime | None) -> Timestamp | None: ...
def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """A moment on the wire; ValueError for one without a time zone, because nobody knows what it means."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def from_timestamp(message: Timestamp) -> datetime:
    """A moment from the wire, aware."""
    return message.ToDatetime(tzinfo=UTC)


def rfc3339(moment: datetime, *, microseconds: bool = False) -> str:
    """`2026-01-31T12:00:00Z`, as Kubernetes writes it (`microseconds`: as its leases do)."""
    spec = "microseconds" if microseconds else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """The moment in `text`, in UTC; ValueError when it is none or names no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)


def readable(moment: datetime) -> str:
    """`2026-01-31 12:00:00 UTC`, for people."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
