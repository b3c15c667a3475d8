"""A FAIL follows weight files under any name, until a PASS under the same or a stricter policy answers it.

Whose FAIL counts (docs/decisions/whose-fail-counts.md): in its own namespace every one; elsewhere only one that the
release policy itself gave. Otherwise whoever may evaluate could stop a neighbour's engine with a gate, with items, with
a base or with a broken tokenizer of his own.
"""

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
from posology.evaluation.origins import Made, files_digest


@dataclass(frozen=True)
class StandingFailure:
    """A FAIL that no PASS answers, with the weight files (hex sha256) that it follows."""

    verdict: str
    model: str
    weight_files: tuple[str, ...]
    namespace: str = ""
    """The only one in which it stands; empty = all."""

    @property
    def sentence(self) -> str:
        """For whoever is refused."""
        return (
            f"{self.verdict} said FAIL of these weight files ({self.model[:19]}); only a PASS of them under the same "
            "or a stricter policy answers it"
        )


async def record(tx: Transaction, verdict: str, files: Collection[str], *, everywhere: bool) -> None:
    """These weight files failed."""
    for file in sorted(set(files)):
        row = {"file": file, "verdict": verdict, "created": await now(tx), "everywhere": everywhere}
        await tx.execute(tables.failures.insert().values(**row))


async def remember_tuned(tx: Transaction, made: Made) -> None:
    """Which files a model holds that was tuned directly from a root; bears repetition."""
    t = tables.tuned_files
    if not made.root or (await tx.execute(select(t.c.file).where(t.c.artifact == made.artifact).limit(1))).first():
        return
    for file in made.files:
        await tx.execute(t.insert().values(file=file, artifact=made.artifact, root=made.root))


async def standing(
    tx: Transaction, files: Collection[str], *, namespace: str, answer: VerdictPredicate | None = None
) -> tuple[str, ...]:
    """One sentence for each FAIL that stands in a namespace against these weight files; `answer` is a verdict that is
    being issued."""
    f, v = tables.failures.c, tables.verdicts.c
    failed = select(f.verdict).where(f.file.in_(sorted(files))).distinct()
    query = select(tables.verdicts).where(v.name.in_(failed)).order_by(v.created)
    rows = (await tx.execute(query)).mappings().all()
    standing = [await _standing(tx, row, answer) for row in rows]
    return tuple(
        one.sentence
        for one in standing
        if one is not None and one.namespace in ("", namespace) and not set(one.weight_files).isdisjoint(files)
    )


async def all_standing(tx: Transaction) -> tuple[StandingFailure, ...]:
    """Every FAIL that stands somewhere."""
    f, v = tables.failures.c, tables.verdicts.c
    query = select(tables.verdicts).where(v.name.in_(select(f.verdict))).order_by(v.created, v.name)
    rows = (await tx.execute(query)).mappings().all()
    standing = [await _standing(tx, row, None) for row in rows]
    return tuple(one for one in standing if one is not None)


async def _standing(tx: Transaction, row: RowMapping, answer: VerdictPredicate | None) -> StandingFailure | None:
    """The FAIL of a verdict's row; None where a PASS answers it."""
    predicate = predicate_of(row["envelope"])
    if await _answered(tx, row, predicate, answer):
        return None
    f = tables.failures.c
    recorded = (await tx.execute(select(f.file, f.everywhere).where(f.verdict == row["name"]))).all()
    files = {one.file for one in recorded}
    here_only = all(one.everywhere is False for one in recorded)
    left_alone = await _left_alone(tx, files, predicate)
    failed = tuple(sorted(files - left_alone or files))
    return StandingFailure(row["name"], row["model"], failed, row["namespace"] if here_only else "")


async def _left_alone(tx: Transaction, files: Collection[str], failed: VerdictPredicate) -> set[str]:
    """Files that tuning did not make what they are: the base has them, or another model has that a run tuned from the
    same root. A model made from the failed one, a copy of it and what a person pushed say nothing of that."""
    own = set(files) - set(failed.base.weight_files)
    t = tables.tuned_files.c
    root = files_digest(failed.base.weight_files)
    sharing = select(t.artifact).where(t.file.in_(sorted(own)), t.root == root).distinct()
    held: dict[str, set[str]] = {}
    for row in (await tx.execute(select(t.artifact, t.file).where(t.artifact.in_(sharing)))).all():
        held.setdefault(row.artifact, set()).add(row.file)
    shared = {file for of_another in held.values() if of_another != own for file in of_another & own}
    return shared | (set(files) - own)


async def _answered(
    tx: Transaction, row: RowMapping, failed: VerdictPredicate, answer: VerdictPredicate | None
) -> bool:
    if answer is not None and answer.outcome == Outcome.PASS and _answers(answer, failed):
        return True
    c = tables.verdicts.c
    # Only a PASS of exactly these files answers; those from before `weights` was kept are all looked at.
    same = (c.weights == files_digest(failed.weight_files)) | c.weights.is_(None)
    later = select(c.envelope).where(c.outcome == Outcome.PASS.value, c.created >= row["created"], same)
    return any(_answers(predicate_of(envelope), failed) for envelope in (await tx.execute(later)).scalars())


def _answers(passing: VerdictPredicate, failed: VerdictPredicate) -> bool:
    """Whether a PASS takes back what was said of the same weights: exactly those, compared with the root that they come
    from, or, where nothing shows it of either, with what the FAIL was compared with, by gates at least as strict."""
    base = set(passing.base.weight_files)
    same = base == set(failed.base.weight_files) and passing.base.lineage == failed.base.lineage
    compared = passing.base.lineage == "ROOT" or same
    return (
        set(passing.weight_files) == set(failed.weight_files)
        and compared
        and not set(passing.weight_files) <= base
        and as_strict(decided(passing), decided(failed))
    )


def predicate_of(envelope: Mapping[str, Any]) -> VerdictPredicate:
    """The predicate of a verdict that this service signed and stored itself."""
    return VerdictPredicate.from_json(json.loads(base64.b64decode(envelope["payload"]))["predicate"])
