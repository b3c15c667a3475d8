"""Pages neither repeat nor skip rows, and a wrong token is said to be wrong."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, select, text

from posology.core.errors import InvalidInput
from posology.core.store import Database, Transaction, UtcDateTime, pages

metadata = MetaData()
run = Table("run", metadata, Column("id", Integer, primary_key=True), Column("at", UtcDateTime), Column("ns", Text))
START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = st.tuples(
    st.text(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.datetimes(timezones=st.just(UTC))
)


@pytest.fixture
async def db(database: Database) -> Database:
    async with database.begin() as tx:
        if database.schema:
            await tx.execute(text(f"create schema {database.schema}"))
        await tx.run_sync(metadata.create_all)
        for i in range(25):  # several rows share each time
            await tx.execute(run.insert().values(id=i, at=START + timedelta(seconds=i // 4), ns="a"))
    return database


async def walk(tx: Transaction, *, size: int, descending: bool) -> list[int]:
    found: list[int] = []
    token = ""
    while True:
        page = await pages.fetch(
            tx, select(run), order=[run.c.at, run.c.id], size=size, token=token, descending=descending
        )
        found += [row["id"] for row in page.rows]
        token = page.next_token
        if not token:
            return found


@pytest.mark.parametrize("size", [1, 4, 5, 24, 25, 26])
@pytest.mark.parametrize("descending", [False, True])
async def test_a_walk_shows_each_row_once_in_order(db: Database, size: int, descending: bool) -> None:
    async with db.read() as tx:
        found = await walk(tx, size=size, descending=descending)
    assert found == sorted(range(25), reverse=descending)


async def test_rows_that_come_and_go_disturb_no_others(db: Database) -> None:
    async with db.begin() as tx:
        page = await pages.fetch(tx, select(run), order=[run.c.id], size=10)
        await tx.execute(run.delete().where(run.c.id.in_([3, 9, 10])))
        await tx.execute(run.insert().values(id=-1, at=START, ns="a"))
        rest = await pages.fetch(tx, select(run), order=[run.c.id], size=100, token=page.next_token)
    assert [row["id"] for row in rest.rows] == list(range(11, 25))


async def test_a_token_of_another_listing_is_refused(db: Database) -> None:
    async with db.read() as tx:
        page = await pages.fetch(tx, select(run), order=[run.c.id], size=10, scope="namespaces/a")
        with pytest.raises(InvalidInput, match="page_token"):
            await pages.fetch(tx, select(run), order=[run.c.id], token=page.next_token, scope="namespaces/b")


@pytest.mark.parametrize("requested", [(0, 50), (7, 7), (100_000, 1000)])
def test_a_page_has_a_size_within_bounds(requested: tuple[int, int]) -> None:
    assert pages.page_size(requested[0]) == requested[1]


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidInput, match="page_size: must not be negative"):
        pages.page_size(-1)


@given(key=KEYS, scope=st.text(max_size=20))
def test_a_key_survives_its_token(key: pages.Key, scope: str) -> None:
    assert pages.decode(pages.encode(key, scope=scope), scope=scope, length=4) == key


@given(token=st.text() | st.binary().map(lambda raw: raw.hex()))
def test_junk_is_refused_whatever_it_is(token: str) -> None:
    with pytest.raises(InvalidInput, match="page_token"):
        pages.decode(token)


@given(key=KEYS, at=st.integers(0, 1000), letter=st.sampled_from("AZaz09-_"))
def test_a_damaged_token_is_refused(key: pages.Key, at: int, letter: str) -> None:
    token = pages.encode(key)
    at %= len(token)
    damaged = token[:at] + letter + token[at + 1 :]
    try:
        found = pages.decode(damaged)
    except InvalidInput:
        return
    assert found == key  # the last character has bits that mean nothing


@pytest.mark.parametrize(
    "key",
    [
        "not a list", 7, {"t": 1}, [], [1], ["x", 1], [{"t": "x"}, 1], [{"t": "2026-01-01"}, 1], [{"u": 1}, 1],
        [{"t": "2026-01-01T00:00:00+00:00"}, "1"], [{"t": "2026-01-01T00:00:00+00:00"}, 10**30],
        [{"t": "2026-01-01T00:00:00+00:00"}, True], [{"t": "2026-01-01T00:00:00+00:00"}, None], [[[]], 1],
        [{"t": None}, 1], [{"t": 5}, 1], [None, None],
    ],
    ids=str,
)  # fmt: skip
async def test_a_forged_token_is_said_to_be_wrong(db: Database, key: object) -> None:
    body = json.dumps(key).encode()
    token = base64.urlsafe_b64encode(pages._seal(body, "") + body).decode()
    async with db.read() as tx:
        with pytest.raises(InvalidInput, match="page_token"):
            await pages.fetch(tx, select(run), order=[run.c.at, run.c.id], token=token)


@pytest.mark.parametrize("body", [b"", b"[", b"\xff", b"[" * 100_000, b"nan"])
async def test_a_sealed_token_that_is_no_json_is_said_to_be_wrong(db: Database, body: bytes) -> None:
    token = base64.urlsafe_b64encode(pages._seal(body, "") + body).decode()
    async with db.read() as tx:
        with pytest.raises(InvalidInput, match="page_token"):
            await pages.fetch(tx, select(run), order=[run.c.at, run.c.id], token=token)
