"""Pages of a listing: keyset order, opaque tokens, and a wrong token is said to be wrong."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, RowMapping, Select, String, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from posology.core.errors import InvalidInput, Violation
from posology.core.store.columns import UtcDateTime

DEFAULT_SIZE = 50
MAX_SIZE = 1000
Key = tuple[str | int | float | datetime, ...]


@dataclass(frozen=True)
class Page:
    """Some rows in order, and the token of the rest: empty at the end."""

    rows: tuple[RowMapping, ...]
    next_token: str


def page_size(requested: int) -> int:
    """0 means the default of 50; above 1000 is 1000; negative is InvalidInput."""
    if requested < 0:
        raise InvalidInput.of([Violation("page_size", "must not be negative")])
    return min(requested or DEFAULT_SIZE, MAX_SIZE)


async def fetch(
    tx: AsyncConnection,
    query: Select[Any],
    *,
    order: Sequence[ColumnElement[Any]],
    size: int = 0,
    token: str = "",
    scope: str = "",
    descending: bool = False,
) -> Page:
    """The page of `query` after `token`, ordered by the columns `order`, which together must be unique.

    The query must select the columns of `order`. `scope` names the listing (parent and filter): a token
    from another listing is InvalidInput. Rows that come or go between pages are neither repeated nor make
    others be skipped.
    """
    limit = page_size(size)
    keys = tuple_(*order)
    if token:
        key = decode(token, scope=scope, length=len(order))
        if not all(_fits(column, value) for column, value in zip(order, key, strict=True)):
            raise _wrong()
        after = tuple_(*key)
        query = query.where(keys < after if descending else keys > after)
    query = query.order_by(*(column.desc() if descending else column for column in order)).limit(limit + 1)
    rows = tuple((await tx.execute(query)).mappings())
    if len(rows) <= limit:
        return Page(rows, "")
    last = rows[limit - 1]
    return Page(rows[:limit], encode(tuple(last[column] for column in order), scope=scope))


def encode(key: Key, *, scope: str = "") -> str:
    """An opaque, URL-safe token for the rows after `key` of the listing `scope`."""
    body = json.dumps([_pack(value) for value in key], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(body, scope) + body).decode().rstrip("=")


def decode(token: str, *, scope: str = "", length: int | None = None) -> Key:
    """The key inside `token`; InvalidInput if it is damaged, or of another listing."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong() from error
    seal, body = raw[:8], raw[8:]
    if seal != _seal(body, scope):
        raise _wrong()
    try:
        packed = json.loads(body)
        key = tuple(_unpack(value) for value in packed) if isinstance(packed, list) else ()
    except (ValueError, TypeError, KeyError, RecursionError) as error:  # its maker knew how to seal, no more
        raise _wrong() from error
    if length is not None and len(key) != length:
        raise _wrong()
    return key


def _fits(column: ColumnElement[Any], value: Any) -> bool:
    """Whether the database can compare the two; a forged token may hold anything."""
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return isinstance(value, datetime) and value.tzinfo is not None
    if isinstance(kind, String):
        return isinstance(value, str) and "\x00" not in value and value.isprintable()
    if isinstance(kind, Integer):
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if isinstance(kind, Float):
        return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300
    return isinstance(value, str | int | float | datetime)


def _seal(body: bytes, scope: str) -> bytes:
    """Not a secret: a forged token only moves a caller within rows that the query shows anyway."""
    return hashlib.sha256(scope.encode() + b"\0" + body).digest()[:8]


def _pack(value: Any) -> Any:
    return {"t": value.isoformat()} if isinstance(value, datetime) else value


def _unpack(value: Any) -> Any:
    return datetime.fromisoformat(value["t"]) if isinstance(value, dict) else value


def _wrong() -> InvalidInput:
    return InvalidInput.of([Violation("page_token", "is not a token of this listing; start again without one")])
