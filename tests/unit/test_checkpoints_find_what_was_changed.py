"""Attacks on an audit chain by somebody who owns its database, on both kinds, against a checkpoint kept elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from posology.core import audit, signing
from posology.core.audit import Entry, Head
from posology.core.audit.chain import link
from posology.core.audit.checkpoint import Checkpoint, compare
from posology.core.errors import DataCorrupt
from posology.core.store import Database

AT = datetime(2026, 11, 1, tzinfo=UTC)


async def filled(db: Database, count: int) -> Head:
    """The head of a chain of this length, in a real database."""
    await db.migrate("posology.core.audit")
    head = Head(0, audit.GENESIS)
    for number in range(count):
        async with db.begin() as tx:
            head = await audit.append(tx, actor="me", action="review.rate", subject=f"i{number}", detail={"n": number})
    return head


async def chain(db: Database) -> list[Entry]:
    async with db.read() as tx:
        return [entry async for entry in audit.entries(tx)]


def rebuilt(entries: Sequence[Entry], change: Callable[[Entry], Entry]) -> list[Entry]:
    """The chain with every digest computed anew: unbroken in itself."""
    made, head = [], Head(0, audit.GENESIS)
    for entry in map(change, entries):
        fields = {name: getattr(entry, name) for name in ("at", "actor", "action", "subject", "detail")}
        made.append(link(head, **fields))
        head = Head(made[-1].seq, made[-1].digest)
    return made


def problem(entries: Sequence[Entry] | None, *checkpoints: Checkpoint) -> str:
    chains = {} if entries is None else {"curation": entries}
    [result] = list(compare(chains, checkpoints))
    return result.problem


async def test_a_chain_that_only_grew_holds_against_every_checkpoint(database: Database) -> None:
    first = Checkpoint(AT, {"curation": await filled(database, 3)})
    second = Checkpoint(AT, {"curation": await filled(database, 2)})
    assert problem(await chain(database), second, first) == ""


ATTACKS: dict[str, tuple[Callable[[list[Entry]], list[Entry] | None], str]] = {
    "cut the tail": (lambda e: e[:-1], "ends at entry 4, but entry 5 was anchored; the tail was cut"),
    "empty the chain": (lambda e: [], "entry 5 was anchored; the tail was cut"),
    "lose the chain": (lambda e: None, "a checkpoint names this chain, and it is not here"),
    "rewrite who did it": (
        lambda e: rebuilt(e, lambda one: replace(one, actor="someone") if one.seq == 2 else one),
        "is not the entry that was anchored; the chain was rewritten",
    ),
    "drop an entry and close the gap": (
        lambda e: rebuilt([*e[:2], *e[3:], e[0]], lambda one: one),
        "the chain was rewritten",
    ),
    "swap two entries": (lambda e: rebuilt([e[1], e[0], *e[2:]], lambda one: one), "the chain was rewritten"),
    "go on from an earlier end": (
        lambda e: [*e[:3], *rebuilt([*e[:3], *[replace(one, detail={"n": 9}) for one in e[3:]]], lambda o: o)[3:]],
        "the chain was rewritten",
    ),
    "alter an entry in place": (lambda e: [replace(e[0], subject="other"), *e[1:]], "was altered after it was written"),
    "take out the middle": (lambda e: [*e[:2], *e[3:]], "entries between them are missing"),
}


@pytest.mark.parametrize("attack", list(ATTACKS))
async def test_what_was_changed_is_found(attack: str, database: Database) -> None:
    checkpoint = Checkpoint(AT, {"curation": await filled(database, 5)})
    change, words = ATTACKS[attack]
    assert words in problem(change(await chain(database)), checkpoint)


async def test_a_tail_that_was_cut_in_the_database_itself_is_found(database: Database) -> None:
    """Whoever owns the schema drops the triggers first."""
    checkpoint = Checkpoint(AT, {"curation": await filled(database, 4)})
    async with database.begin() as tx:
        if database.kind == "sqlite":
            named = await tx.execute(text("select name from sqlite_master where type = 'trigger'"))
            for name in named.scalars().all():
                await tx.execute(text(f"drop trigger {name}"))
        else:
            await tx.execute(text("alter table audit disable trigger user"))
        await tx.execute(text("delete from audit where seq > 2"))
    assert "the tail was cut" in problem(await chain(database), checkpoint)


def test_two_checkpoints_that_can_not_be_of_one_chain_show_a_fork() -> None:
    heads = [Head(7, f"sha256:{digit * 64}") for digit in "12"]
    one, other = (Checkpoint(AT, {"curation": head}) for head in heads)
    assert "the chain was forked" in problem(None, one, other)


def test_a_checkpoint_is_believed_for_its_signature_only(tmp_path: Path) -> None:
    mine, theirs = (signing.Signer.load_or_create(tmp_path / f"{name}.key") for name in ("mine", "theirs"))
    taken = Checkpoint(AT, {"curation": Head(7, "sha256:" + "1" * 64)})
    envelope = taken.sign(mine)
    assert Checkpoint.read(envelope, [mine.public_key]) == taken
    with pytest.raises(signing.UnknownKey):
        Checkpoint.read(taken.sign(theirs), [mine.public_key])
    other: dict[str, Any] = replace(taken, heads={"curation": Head(6, "sha256:" + "2" * 64)}).sign(mine)
    with pytest.raises(signing.SignatureMismatch):
        Checkpoint.read({**envelope, "payload": other["payload"]}, [mine.public_key])
    with pytest.raises(signing.NotSigned):
        Checkpoint.read({**envelope, "signatures": []}, [mine.public_key])
    with pytest.raises(signing.WrongPredicate):
        Checkpoint.read(mine.sign(signing.statement("https://x.dev/v1", {"a": "1" * 64}, {})), [mine.public_key])


def made(count: int) -> list[Entry]:
    entries, head = [], Head(0, audit.GENESIS)
    for number in range(count):
        entries.append(link(head, at=AT, actor="me", action="x", subject=str(number), detail={}))
        head = Head(entries[-1].seq, entries[-1].digest)
    return entries


def end(entries: Sequence[Entry], length: int) -> Head:
    return Head(length, entries[length - 1].digest)


def test_a_chain_that_was_shorter_for_a_time_was_cut() -> None:
    entries = made(6)
    first = Checkpoint(AT, {"curation": end(entries, 5)})
    later = Checkpoint(AT + timedelta(days=1), {"curation": end(entries, 3)})
    assert "ends at entry 3, and an earlier one at entry 5: the chain was cut" in problem(entries, later, first)
    assert problem(entries, replace(later, taken=AT), first) == ""  # of one second nobody knows which was first


@pytest.mark.parametrize(("after", "length"), [(0, 3), (3, 3), (3, 5), (0, 0)])
def test_anchors_that_contradict_each_other_or_the_start_hold_for_no_chain(after: int, length: int) -> None:
    entries = made(6)
    start = end(entries, after) if after else None
    anchors = [Head(length, "sha256:" + "9" * 64)]
    anchors += [end(entries, length)] if length > after else []
    with pytest.raises(DataCorrupt, match=f"entry {length} was anchored with two digests"):
        audit.verify_chain(entries[after:], after=start, anchors=anchors)
