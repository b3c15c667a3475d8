"""Audit chains are read from the databases of an installation, and held against what the verdict anchored."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from posology.client.verification import audits
from posology.core import audit
from posology.core.errors import NotFound
from posology.core.store import Database


async def write(folder: Path, service: str, entries: int) -> list[str]:
    """A service's database with this many audit entries; the head after each."""
    db = Database(f"sqlite:///{folder}/{service}.sqlite")
    await db.migrate("posology.core.audit")
    heads = []
    for number in range(entries):
        async with db.begin() as tx:
            found = await audit.append(
                tx, actor="me", action="review.rate", subject=f"item {number}", detail={"n": number}
            )
            heads.append(found.digest)
    await db.close()
    return heads


def tamper(folder: Path, service: str, statement: str) -> None:
    """Change a database as somebody with the file could."""
    with closing(sqlite3.connect(folder / f"{service}.sqlite")) as connection:
        triggers = connection.execute("select name from sqlite_master where type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"drop trigger {name}")
        connection.execute(statement)
        connection.commit()


def said(folder: Path, heads: Mapping[str, Any]) -> dict[str, tuple[bool, str]]:
    statement: dict[str, Any] = {"predicate": {"auditHeads": dict(heads)}}
    return {check.name: (check.ok, check.said) for check in audits(folder, statement)}


async def test_unbroken_chains_with_their_anchors_hold(tmp_path: Path) -> None:
    heads = await write(tmp_path, "evaluation", 5)
    await write(tmp_path, "curation", 0)
    found = said(tmp_path, {"evaluation": heads[2], "curation": audit.GENESIS})
    assert all(ok for ok, _ in found.values())
    assert "5 entries, unbroken" in found["chain of evaluation"][1]
    assert "entry 3 of its chain" in found["head of evaluation"][1]


async def test_an_altered_entry_is_named(tmp_path: Path) -> None:
    heads = await write(tmp_path, "evaluation", 5)
    tamper(tmp_path, "evaluation", "update audit set detail = '{\"n\":99}' where seq = 3")
    ok, text = said(tmp_path, {"evaluation": heads[4]})["chain of evaluation"]
    assert not ok
    assert "audit entry 3 (me review.rate item 2) was altered" in text


async def test_a_cut_tail_is_found_by_the_anchor(tmp_path: Path) -> None:
    heads = await write(tmp_path, "evaluation", 5)
    tamper(tmp_path, "evaluation", "delete from audit where seq > 3")
    found = said(tmp_path, {"evaluation": heads[4]})
    assert found["chain of evaluation"][0], "what is left is a chain"
    assert not found["head of evaluation"][0]
    assert "cut or rewritten" in found["head of evaluation"][1]


async def test_the_length_that_a_verdict_states_must_be_that_of_its_head(tmp_path: Path) -> None:
    heads = await write(tmp_path, "evaluation", 5)
    ends: dict[str, Any] = {"evaluation": {"length": 3, "digest": heads[2]}}
    assert all(ok for ok, _ in said(tmp_path, ends).values())
    ends["evaluation"]["length"] = 4
    assert "is entry 3, where the verdict says 4" in said(tmp_path, ends)["head of evaluation"][1]


async def test_a_chain_that_a_runs_verdict_does_not_anchor_is_said(tmp_path: Path) -> None:
    """Left out, it could be rewritten without a trace."""
    ends: dict[str, Any] = {}
    for service in ("catalog", "curation", "evaluation", "gateway", "orchestrator", "serving", "training"):
        heads = await write(tmp_path, service, 2)
        ends[service] = {"length": 2, "digest": heads[1]}
    assert all(ok for ok, _ in said(tmp_path, ends).values())
    left_out = {service: end for service, end in ends.items() if service not in ("curation", "gateway")}
    ok, text = said(tmp_path, left_out)["every chain is anchored"]
    assert (ok, "the chain of curation;" in text) == (False, True)


async def test_an_anchored_service_without_a_chain_is_said(tmp_path: Path) -> None:
    await write(tmp_path, "evaluation", 1)
    ok, text = said(tmp_path, {"training": "sha256:" + "1" * 64})["head of training"]
    assert not ok
    assert "no readable chain of training" in text


async def test_a_file_that_is_no_database_fails_its_own_line(tmp_path: Path) -> None:
    await write(tmp_path, "evaluation", 1)
    (tmp_path / "training.sqlite").write_text("not a database, and quite long enough to look like one")
    found = said(tmp_path, {})
    assert not found["chain of training"][0]
    assert found["chain of evaluation"][0]


async def test_reading_changes_nothing(tmp_path: Path) -> None:
    await write(tmp_path, "evaluation", 2)
    before = (tmp_path / "evaluation.sqlite").read_bytes()
    said(tmp_path, {})
    assert (tmp_path / "evaluation.sqlite").read_bytes() == before


def test_a_folder_without_databases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no databases"):
        list(audits(tmp_path, {}))
