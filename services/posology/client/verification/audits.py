"""The audit chains of an embedded installation, read from its databases, which stay as they are."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posology.client.verification.domain import Check, Failed, check
from posology.core.audit import GENESIS, Entry, verify_chain
from posology.core.errors import DataCorrupt, NotFound

_COLUMNS = "seq, at, actor, action, subject, detail, previous, digest"


def audits(folder: Path, statement: Mapping[str, Any]) -> Iterator[Check]:
    """One line for each service's chain, and one for each head that the verdict anchors.

    `folder` holds `<service>.sqlite`, NotFound if it holds none; `statement` is verified, or empty.
    """
    files = sorted(folder.glob("*.sqlite"))
    if not files:
        raise NotFound(f"{folder} has no databases; --audit reads those of an embedded installation")
    chains: dict[str, list[str]] = {}
    for file in files:
        yield check("audit", f"chain of {file.stem}", lambda file=file: _chain(file, chains))  # type: ignore[misc]
    anchored = _anchored(statement)
    for service, end in sorted(anchored.items()):
        yield check("audit", f"head of {service}", lambda s=service, e=end: _anchor(s, e, chains))  # type: ignore[misc]
    if any(isinstance(end, Mapping) for service, end in anchored.items() if service != "evaluation"):
        yield check("audit", "every chain is anchored", lambda: _all_anchored(anchored, chains))


def chains_in(folder: Path) -> dict[str, list[Entry]]:
    """Every chain of a folder of databases, by service; NotFound if it holds none, DataCorrupt for one that is none."""
    files = sorted(folder.glob("*.sqlite"))
    if not files:
        raise NotFound(f"{folder} has no databases of an embedded installation")
    try:
        return {file.stem: list(entries(file)) for file in files}
    except (sqlite3.Error, ValueError) as error:
        raise DataCorrupt(f"a database in {folder} can't be read: {error}") from error


def entries(file: Path) -> Iterator[Entry]:
    """Every audit entry of a service's database, in order; opened read only."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for row in connection.execute(f"select {_COLUMNS} from audit order by seq"):
            seq, at, actor, action, subject, detail, previous, digest = row
            when = datetime.fromisoformat(at).replace(tzinfo=UTC)
            yield Entry(seq, when, actor, action, subject, json.loads(detail), previous, digest)


def _chain(file: Path, chains: dict[str, list[str]]) -> str:
    try:
        chain = list(entries(file))
    except sqlite3.Error as error:
        raise Failed(f"{file} can't be read: {error}") from error
    chains[file.stem] = [GENESIS, *(entry.digest for entry in chain)]
    head = verify_chain(chain)
    return f"{head.seq} entries, unbroken; head {head.digest[:19]}"


def _anchored(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    """Heads by service: `length` and `digest`, or a digest alone."""
    heads: Mapping[str, Any] = statement.get("predicate", {}).get("auditHeads", {})
    return heads


def _all_anchored(anchored: Mapping[str, Any], chains: Mapping[str, list[str]]) -> str:
    """A verdict that a run issued anchors all chains but the gateway's, which may have been out of reach."""
    if missing := sorted(chains.keys() - anchored.keys() - {"gateway"}):
        raise Failed(f"the verdict says nothing of the chain of {', '.join(missing)}; it could have been rewritten")
    return ", ".join(sorted(anchored))


def _anchor(service: str, end: Any, chains: Mapping[str, list[str]]) -> str:
    digest, length = (end["digest"], end["length"]) if isinstance(end, Mapping) else (end, None)
    if service not in chains:
        raise Failed(f"there is no readable chain of {service}, whose head {digest[:19]} the verdict anchors")
    if digest not in chains[service]:
        raise Failed(f"{digest[:19]}, which the verdict anchors, is not in the chain: it was cut or rewritten")
    if length is not None and chains[service].index(digest) != length:
        raise Failed(f"{digest[:19]} is entry {chains[service].index(digest)}, where the verdict says {length}")
    return f"{digest[:19]} is entry {chains[service].index(digest)} of its chain"
