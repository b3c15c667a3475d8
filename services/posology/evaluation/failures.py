"""A FAIL follows weight files under any name, until a PASS under the same or a stricter policy answers it."""

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, select

from posology.core.attestations.verdict import VerdictPredicate
from posology.core.release.check import decided
from posology.core.release.domain import as_strict
from posology.core.store import Transaction, now
from posology.evaluation import tables
from posology.evaluation.domain import Outcome


async def record(tx: Transaction, verdict: str, files: Collection[str]) -> None:
    """These weight files failed."""
    for file in sorted(set(files)):
        await tx.execute(tables.failures.insert().values(file=file, verdict=verdict, created=await now(tx)))


async def standing(
    tx: Transaction, files: Collection[str], *, answer: VerdictPredicate | None = None
) -> tuple[str, ...]:
    """One sentence for each FAIL of these weight files that no PASS answers; `answer` is one that is being issued."""
    f, v = tables.failures.c, tables.verdicts.c
    failed = select(f.verdict).where(f.file.in_(sorted(files))).distinct()
    query = select(tables.verdicts).where(v.name.in_(failed)).order_by(v.created)
    sentences = []
    for row in (await tx.execute(query)).mappings().all():
        own = set((await tx.execute(select(f.file).where(f.verdict == row["name"]))).scalars())
        if not await _answered(tx, row, own, answer):
            sentences.append(
                f"{row['name']} said FAIL of these weight files ({row['model'][:19]}); only a PASS under the same or a "
                "stricter policy answers it"
            )
    return tuple(sentences)


@dataclass(frozen=True)
class StandingFailure:
    """A FAIL that no PASS answers, with the weight files (hex sha256) that it follows."""

    verdict: str
    model: str
    weight_files: tuple[str, ...]


async def all_standing(tx: Transaction) -> tuple[StandingFailure, ...]:
    """Every FAIL that stands. Files of the base that it was compared with are no part of what failed, unless it was
    compared with itself."""
    f, v = tables.failures.c, tables.verdicts.c
    query = select(tables.verdicts).where(v.name.in_(select(f.verdict))).order_by(v.created, v.name)
    standing = []
    for row in (await tx.execute(query)).mappings().all():
        files = set((await tx.execute(select(f.file).where(f.verdict == row["name"]))).scalars())
        if not await _answered(tx, row, files, None):
            own = files - set(predicate_of(row["envelope"]).base.weight_files)
            standing.append(StandingFailure(row["name"], row["model"], tuple(sorted(own or files))))
    return tuple(standing)


async def _answered(tx: Transaction, failed: RowMapping, own: set[str], answer: VerdictPredicate | None) -> bool:
    before = decided(predicate_of(failed["envelope"]))
    if answer is not None and own <= set(answer.weight_files) and as_strict(decided(answer), before):
        return True
    c = tables.verdicts.c
    later = select(tables.verdicts).where(c.outcome == Outcome.PASS.value, c.created >= failed["created"])
    for row in (await tx.execute(later)).mappings().all():
        passing = predicate_of(row["envelope"])
        if own <= set(passing.weight_files) and as_strict(decided(passing), before):
            return True
    return False


def predicate_of(envelope: Mapping[str, Any]) -> VerdictPredicate:
    """The predicate of a verdict that this service signed and stored itself."""
    return VerdictPredicate.from_json(json.loads(base64.b64decode(envelope["payload"]))["predicate"])
