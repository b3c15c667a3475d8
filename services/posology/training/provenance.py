"""What this service observed of each artifact it published, signed with its own key."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from posology.core import audit
from posology.core.artifacts import Manifest
from posology.core.attestations.provenance import PREDICATE_TYPE, ProvenancePredicate
from posology.core.jobs.domain import Job
from posology.core.jobs.service.publisher import Published
from posology.core.signing import Signer, statement
from posology.core.store import Database, Transaction, now
from posology.training.tables import statements

BUILDER = "https://posology.dev/training"


class Provenance:
    """Signs and keeps the statements; workers hold no key, so what they say about themselves is not enough."""

    def __init__(self, db: Database, signer: Signer) -> None:
        self._db = db
        self._signer = signer

    async def sign(self, published: Published) -> None:
        """Sign once per job; a repeated call keeps the first statement."""
        job = published.job
        async with self._db.begin() as tx:
            if await _envelope(tx, job.name) is not None:
                return
            envelope = self._signer.sign(described(job, published.digest, published.manifest))
            row = {"job": job.name, "artifact": published.digest, "envelope": envelope, "signed_at": await now(tx)}
            await tx.execute(insert(statements).values(**row))
            await audit.append(
                tx,
                actor=BUILDER,
                action="artifact.attested",
                subject=job.name,
                detail={"artifact": published.digest, "kind": published.manifest.kind, "key": self._signer.id},
            )

    async def of(self, job: str) -> Mapping[str, Any] | None:
        """The envelope about what a job made, None before."""
        async with self._db.read() as tx:
            return await _envelope(tx, job)


def described(job: Job, digest: str, manifest: Manifest) -> dict[str, Any]:
    """The SLSA provenance of an artifact: what was asked for, what went in, who built it and when."""
    kind = next((task for task in ("sft", "dpo", "merge", "preflight") if task in job.spec), job.kind)
    predicate = ProvenancePredicate(
        build_type=f"{BUILDER}/{kind}/v1",
        external_parameters=dict(job.spec),
        internal_parameters={"parameters": dict(manifest.parameters)},
        inputs=manifest.parents,
        run_details={
            "builder": {"id": BUILDER, "version": {"producer": manifest.producer}},
            "metadata": {
                "invocationId": f"{job.name}/attempts/{job.attempt}",
                **({"startedOn": job.started_at.isoformat()} if job.started_at else {}),
            },
        },
    )
    return statement(PREDICATE_TYPE, {manifest.kind: digest}, predicate.to_json())


async def _envelope(tx: Transaction, job: str) -> Mapping[str, Any] | None:
    row = (await tx.execute(select(statements.c.envelope).where(statements.c.job == job))).first()
    return dict(row.envelope) if row else None
