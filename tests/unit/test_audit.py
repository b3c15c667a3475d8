"""The audit trail grows with each change and shows where it was tampered with."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from posology.core import audit
from posology.core.audit.tables import metadata
from posology.core.errors import DataCorrupt
from posology.core.store import Database


@pytest.fixture
async def trail(database: Database) -> Database:
    await database.migrate("posology.core.audit")
    return database


async def write(trail: Database, *subjects: str) -> None:
    for subject in subjects:
        async with trail.begin() as tx:
            await audit.append(tx, actor="ann", action="create", subject=subject, detail={"rate": 2e-4, "n": 1.0})


async def read(trail: Database) -> list[audit.Entry]:
    async with trail.read() as tx:
        return [entry async for entry in audit.entries(tx)]


async def test_what_was_written_verifies_after_a_round_trip_through_an_export(trail: Database) -> None:
    await write(trail, "runs/a", "runs/b", "runs/c")
    exported = [audit.Entry.from_json(entry.to_json()) for entry in await read(trail)]
    async with trail.read() as tx:
        assert audit.verify_chain(exported) == await audit.head(tx)


async def test_the_migration_builds_the_table_that_the_code_uses(trail: Database) -> None:
    assert await trail.drift(metadata) == []


async def test_an_entry_vanishes_with_the_change_that_failed(trail: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with trail.begin() as tx:
            await audit.append(tx, actor="ann", action="create", subject="runs/a")
            raise ZeroDivisionError
    assert await read(trail) == []


async def test_concurrent_writers_make_one_chain(trail: Database) -> None:
    await asyncio.gather(*(write(trail, *[f"runs/{i}-{k}" for k in range(5)]) for i in range(8)))
    assert audit.verify_chain(await read(trail)).seq == 40


@pytest.mark.parametrize("change", ["update audit set actor = 'eve'", "delete from audit"])
async def test_the_database_refuses_to_change_or_delete_an_entry(trail: Database, change: str) -> None:
    await write(trail, "runs/a")
    with pytest.raises(DBAPIError, match="only grows"):
        async with trail.begin() as tx:
            await tx.execute(text(change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actor": "eve"}, r"entry 2 \(eve create runs/b\) was altered"),
        ({"detail": {"rate": 1}}, r"entry 2 \(ann create runs/b\) was altered"),
        ({"seq": 7}, r"entry 7 .* follows entry 1"),
    ],
)
async def test_an_altered_entry_is_named_with_its_actor_and_subject(
    trail: Database, change: dict[str, object], message: str
) -> None:
    await write(trail, "runs/a", "runs/b", "runs/c")
    first, second, third = await read(trail)
    with pytest.raises(DataCorrupt, match=message):
        audit.verify_chain([first, replace(second, **change), third])  # type: ignore[arg-type]


async def test_a_removed_entry_is_named_by_the_one_after_it(trail: Database) -> None:
    await write(trail, "runs/a", "runs/b", "runs/c")
    first, _, third = await read(trail)
    with pytest.raises(DataCorrupt, match=r"entry 3 \(ann create runs/c\) follows entry 1"):
        audit.verify_chain([first, third])


async def test_a_rewritten_chain_is_found_by_an_anchor(trail: Database) -> None:
    await write(trail, "runs/a", "runs/b", "runs/c")
    honest = await read(trail)
    anchor = audit.Head(honest[1].seq, honest[1].digest)
    head, forged = audit.Head(0, audit.GENESIS), []
    for entry in honest:
        made = audit.chain.link(head, at=entry.at, actor="eve", action=entry.action, subject=entry.subject, detail={})
        head = audit.Head(made.seq, made.digest)
        forged.append(made)
    assert audit.verify_chain(forged).seq == 3
    with pytest.raises(DataCorrupt, match=r"entry 2 \(eve create runs/b\) is not the entry that was anchored"):
        audit.verify_chain(forged, anchors=[anchor])


async def test_a_cut_tail_is_found_by_an_anchor(trail: Database) -> None:
    await write(trail, "runs/a", "runs/b", "runs/c")
    entries = await read(trail)
    with pytest.raises(DataCorrupt, match="ends at entry 2, but entry 3 was anchored"):
        audit.verify_chain(entries[:2], anchors=[audit.Head(entries[2].seq, entries[2].digest)])


async def test_an_export_in_parts_verifies_part_by_part(trail: Database) -> None:
    await write(trail, "runs/a", "runs/b", "runs/c")
    entries = await read(trail)
    middle = audit.verify_chain(entries[:2])
    assert audit.verify_chain(entries[2:], after=middle).seq == 3
