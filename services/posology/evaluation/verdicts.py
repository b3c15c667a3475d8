"""Verdicts: every gate recomputed from stored items in this process, then signed with the service's key."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, func, select

from posology.core import audit, signing
from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.canonical import canonical_digest, canonical_json
from posology.core.errors import AlreadyExists, InvalidInput, NotFound, Violation
from posology.core.jobs.domain import Job
from posology.core.store import Database, Transaction, now, pages
from posology.evaluation import gates, items, tables
from posology.evaluation.domain import GateResult, IssuedVerdict, Outcome, Policy, VerdictRequest, overall
from posology.evaluation.evaluations import Evaluations, PolicyOf, finished_artifact, read_items

PREDICATE_TYPE = "https://posology.dev/verdict/v1alpha1"
FILE = "verdict.dsse.json"


@dataclass(frozen=True)
class _Findings:
    """What the stored files of an evaluation say, recomputed."""

    job: Job
    policy: Policy
    results: tuple[GateResult, ...]
    engine: Mapping[str, Any]
    probes: list[Any]

    @property
    def outcome(self) -> Outcome:
        return overall([result.outcome for result in self.results])


class Verdicts:
    """Issues and keeps verdicts. Only this process holds the signing key."""

    def __init__(
        self,
        db: Database,
        evaluations: Evaluations,
        artifacts: ArtifactStore,
        signer: signing.Signer,
        *,
        policy_of: PolicyOf,
        to_json: Callable[[GateResult], dict[str, Any]],
        from_json: Callable[[Mapping[str, Any]], GateResult],
    ) -> None:
        self._db = db
        self._evaluations = evaluations
        self._artifacts = artifacts
        self._signer = signer
        self._policy_of = policy_of
        self._to_json = to_json
        self._from_json = from_json

    async def issue(self, asked: VerdictRequest, *, actor: str) -> IssuedVerdict:
        """Decide and sign once per name; a repeated request gives the first verdict.

        Every verdict is a use of its suites and is counted, whatever its outcome.
        """
        if not asked.validate_only and (first := await self._first(asked)):
            return first
        statements = _statements(asked.statements)
        job = await self._evaluations.get(asked.evaluation)
        found = await asyncio.to_thread(self._findings, job)
        if asked.validate_only:
            return IssuedVerdict(asked.name, found.outcome, found.results, job.spec["spec"]["model"], job.name)
        lineage = await asyncio.to_thread(self._lineage, asked.lineage)
        async with self._db.begin() as tx:
            await _count_uses(tx, found.policy, asked.name, job.spec["spec"]["model"])
            uses = await _uses(tx, found.policy)
            head = await audit.head(tx)
            heads = {**asked.audit_heads, "evaluation": head.digest}
            predicate = self._predicate(asked, found, statements, lineage, heads, uses)
            envelope = self._sign(found, predicate)
            artifact = await asyncio.to_thread(self._publish, envelope, found)
            await self._store(tx, asked, found, envelope, artifact)
            detail = {"outcome": found.outcome.value, "artifact": artifact, "model": job.spec["spec"]["model"]}
            await audit.append(tx, actor=actor, action="verdict.issued", subject=asked.name, detail=detail)
        return await self.get(asked.name)

    async def get(self, name: str) -> IssuedVerdict:
        """One verdict; NotFound."""
        async with self._db.read() as tx:
            row = await _row(tx, name)
            if row is None:
                raise NotFound(f"there is no {name}")
            return await self._from_row(tx, row)

    def manifest(self, issued: IssuedVerdict) -> Manifest:
        """The manifest of a verdict as an artifact; blocking."""
        return self._artifacts.manifest(issued.artifact)

    async def page(self, namespace: str, *, model: str, size: int, token: str) -> tuple[tuple[IssuedVerdict, ...], str]:
        """A page of verdicts, newest first, of these weights or of all."""
        c = tables.verdicts.c
        query = select(tables.verdicts).where(c.namespace == namespace)
        query = query.where(c.model == model) if model else query
        async with self._db.read() as tx:
            page = await pages.fetch(
                tx,
                query,
                order=(c.created, c.name),
                size=size,
                token=token,
                scope=f"verdicts/{namespace}/{model}",
                descending=True,
            )
            return tuple([await self._from_row(tx, row) for row in page.rows]), page.next_token

    # --- deciding --------------------------------------------------------------------------------------

    def _findings(self, job: Job) -> _Findings:
        digest = finished_artifact(job)
        policy = self._policy_of(job.spec["spec"], job.spec["digests"])
        evidence = items.evidence(read_items(self._artifacts, digest), self._json(digest, items.PARITY), policy)
        engine = self._json(digest, items.ENGINE)["tuned"]
        return _Findings(job, policy, gates.decide(policy, evidence), engine, self._json(digest, items.PROBES))

    def _json(self, digest: str, path: str) -> Any:
        with self._artifacts.open(digest, path) as stored:
            return json.loads(stored.read())

    def _lineage(self, digests: tuple[str, ...]) -> dict[str, list[str]]:
        """The digests by kind of artifact; one that this installation does not have is an error.

        Of several data sets (before and after a review) the one that training read comes first.
        """
        found: dict[str, list[str]] = {}
        learnt_from: set[str] = set()
        for index, digest in enumerate(digests):
            try:
                manifest = self._artifacts.manifest(digest)
            except NotFound:
                raise InvalidInput.of(
                    [Violation(f"lineage[{index}]", f"there is no artifact {digest} in this installation")]
                ) from None
            found.setdefault(manifest.kind, []).append(digest)
            if manifest.kind in ("adapter", "model"):
                learnt_from.update(manifest.parents)
        found.get("dataset", []).sort(key=lambda digest: digest not in learnt_from)
        return found

    # --- signing ---------------------------------------------------------------------------------------

    def _predicate(
        self,
        asked: VerdictRequest,
        found: _Findings,
        statements: list[dict[str, Any]],
        lineage: Mapping[str, list[str]],
        heads: Mapping[str, str],
        uses: Mapping[str, int],
    ) -> dict[str, Any]:
        spec = found.job.spec
        return {
            "outcome": found.outcome.value,
            "gates": [self._to_json(result) for result in found.results],
            "engine": dict(found.engine),
            "probes": found.probes,
            "policy": spec["spec"]["evaluation"],
            "suites": {suite.name: suite.digest for suite in found.policy.suites},
            "suitesArtifact": spec["suites"],
            "holdoutUses": dict(uses),
            "evaluation": {"name": found.job.name, "artifact": found.job.artifact},
            "baseModel": spec["spec"].get("baseModel", ""),
            "adapter": spec["spec"].get("adapter", ""),
            "dataset": (lineage.get("dataset") or [""])[0],
            "lineage": dict(lineage),
            "run": asked.run,
            "auditHeads": dict(heads),
            "statements": statements,
        }

    def _sign(self, found: _Findings, predicate: Mapping[str, Any]) -> signing.Envelope:
        subjects = {"model": found.job.spec["spec"]["model"]}
        return self._signer.sign(signing.statement(PREDICATE_TYPE, subjects, predicate))

    def _publish(self, envelope: signing.Envelope, found: _Findings) -> str:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / FILE).write_bytes(canonical_json(envelope))
            parents = (found.job.spec["spec"]["model"], found.job.artifact)
            return self._artifacts.publish(
                Path(folder), kind="verdict", parents=parents, producer="posology.evaluation"
            )

    # --- storing ---------------------------------------------------------------------------------------

    async def _first(self, asked: VerdictRequest) -> IssuedVerdict | None:
        async with self._db.read() as tx:
            row = await _row(tx, asked.name)
            if row is None:
                return None
            if row["evaluation"] != asked.evaluation:
                raise AlreadyExists(f"{asked.name} is about {row['evaluation']}; take another id")
            return await self._from_row(tx, row)

    async def _store(
        self, tx: Transaction, asked: VerdictRequest, found: _Findings, envelope: signing.Envelope, artifact: str
    ) -> None:
        await tx.execute(
            tables.verdicts.insert().values(
                name=asked.name,
                namespace=asked.namespace,
                request_id=asked.request_id,
                evaluation=found.job.name,
                model=found.job.spec["spec"]["model"],
                outcome=found.outcome.value,
                gates=[self._to_json(result) for result in found.results],
                envelope=envelope,
                artifact=artifact,
                created=await now(tx),
            )
        )

    async def _from_row(self, tx: Transaction, row: RowMapping) -> IssuedVerdict:
        counted = select(tables.holdout_uses.c.suite).where(tables.holdout_uses.c.verdict == row["name"])
        used = [found.suite for found in await tx.execute(counted)]
        counts = [await _count(tx, suite, until=row["created"]) for suite in used]
        return IssuedVerdict(
            name=row["name"],
            outcome=Outcome(row["outcome"]),
            gates=tuple(self._from_json(gate) for gate in row["gates"]),
            model=row["model"],
            evaluation=row["evaluation"],
            envelope=canonical_json(row["envelope"]).decode(),
            artifact=row["artifact"],
            created=row["created"],
            holdout_uses=max(counts, default=0),
        )


def _statements(given: tuple[str, ...]) -> list[dict[str, Any]]:
    """Envelopes that the verdict carries along; who signed them is for whoever reads the verdict to judge."""
    found, wrong = [], []
    for index, text in enumerate(given):
        try:
            envelope = json.loads(text)
            found.append({"digest": canonical_digest(envelope), "envelope": envelope})
            if not isinstance(envelope, dict) or "payload" not in envelope:
                raise ValueError("it has no payload")
        except ValueError as error:
            wrong.append(Violation(f"statements[{index}]", f"is no DSSE envelope: {error}"))
    if wrong:
        raise InvalidInput.of(wrong)
    return found


async def _row(tx: Transaction, name: str) -> RowMapping | None:
    return (await tx.execute(select(tables.verdicts).where(tables.verdicts.c.name == name))).mappings().first()


async def _count_uses(tx: Transaction, policy: Policy, verdict: str, model: str) -> None:
    for suite in {suite.digest for suite in policy.suites}:
        await tx.execute(
            tables.holdout_uses.insert().values(suite=suite, verdict=verdict, model=model, created=await now(tx))
        )


async def _uses(tx: Transaction, policy: Policy) -> dict[str, int]:
    return {suite.name: await _count(tx, suite.digest) for suite in policy.suites}


async def _count(tx: Transaction, suite: str, *, until: datetime | None = None) -> int:
    c = tables.holdout_uses.c
    query = select(func.count()).where(c.suite == suite)
    return (await tx.execute(query.where(c.created <= until) if until else query)).scalar_one()
