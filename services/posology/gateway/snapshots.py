"""The last snapshot on disk: a gateway that restarts while the serving service is away still knows its routes."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, insert, select

from posology.core.store import Transaction, now
from posology.gateway.domain import Backend, Endpoint, Provenance, Route, Snapshot
from posology.gateway.tables import snapshots


async def save(tx: Transaction, snapshot: Snapshot) -> None:
    """Keep `snapshot` in place of the one before."""
    await tx.execute(delete(snapshots))
    await tx.execute(insert(snapshots).values(id=1, routes=asdict(snapshot), taken_at=await now(tx)))


async def load(tx: Transaction) -> Snapshot:
    """The snapshot that was in force last; an empty one if there was none."""
    row = (await tx.execute(select(snapshots))).mappings().first()
    return Snapshot() if row is None else from_json(row["routes"])


def from_json(value: dict[str, Any]) -> Snapshot:
    return Snapshot(version=value["version"], routes=tuple(map(_route, value["routes"])))


def _route(value: dict[str, Any]) -> Route:
    return Route(**{**value, "backends": tuple(map(_backend, value["backends"]))})


def _backend(value: dict[str, Any]) -> Backend:
    provenance = Provenance(**value["provenance"])
    endpoints = tuple(Endpoint(**endpoint) for endpoint in value["endpoints"])
    return Backend(**{**value, "provenance": provenance, "endpoints": endpoints})
