"""Verdicts: every gate recomputed from stored items in this process, then signed with the service's key."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, func, select

from posology.core import audit, signing
from posology.core.artifacts import ArtifactStore
from posology.core.attestations.verdict import FILE, PREDICATE_TYPE, Base, DerivedBase, Try, VerdictPredicate
from posology.core.canonical import canonical_digest, canonical_json
from posology.core.errors import AlreadyExists, InvalidInput, NotFound, Violation
from posology.core.jobs.domain import Job
from posology.core.names import EVERY
from posology.core.release.carried import carried, payload
from posology.core.release.check import Finding, gaps
from posology.core.release.check import findings as requirements_of
from posology.core.release.document import NoPolicy
from posology.core.release.domain import ReleasePolicy, Requirements
from posology.core.release.tries import MOST_HALVINGS, confidence_of, price
from posology.core.release.weights import weight_files
from posology.core.rpc.impersonation import NOBODY
from posology.core.store import Database, Transaction, now, pages
from posology.evaluation import failures, gates, human, items, judging, origins, refusal_judging, required_gates, tables
from posology.evaluation.domain import GateResult, IssuedVerdict, Outcome, Policy, VerdictRequest, overall
from posology.evaluation.evaluations import Evaluations, PolicyOf, Tried, finished_artifact, read_items
from posology.evaluation.origins import Origin


@dataclass(frozen=True)
class _Findings:
    """What the stored files of an evaluation say, recomputed."""

    job: Job
    policy: Policy
    origin: Origin
    results: tuple[GateResult, ...]
    engine: Mapping[str, Any]
    probes: list[Any]
    fails_the_policy: bool = False
    """Whether the release policy's own gates failed, whatever the run's asked for; without a policy, under which
    nothing is released either, a FAIL counts as if they had."""

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
        release_policy: Callable[[], ReleasePolicy],
        review_keys: Callable[[], list[signing.PublicKey]] = list,
    ) -> None:
        """`review_keys`: whose ratings of answers count, read anew each time."""
        self._review_keys = review_keys
        self._db = db
        self._evaluations = evaluations
        self._artifacts = artifacts
        self._signer = signer
        self._policy_of = policy_of
        self._to_json = to_json
        self._from_json = from_json
        self._release_policy = release_policy
        self._looked_at: set[str] = set()

    async def issue(self, request: VerdictRequest, *, actor: str) -> IssuedVerdict:
        """Decide and sign once per name; a repeated request gives the first verdict.

        Every verdict is a use of its suites and is counted, whatever its outcome. How often they were tried decides
        the confidence of each gate.
        """
        if not request.validate_only and (first := await self._first(request)):
            return first
        statements = _statements(request.statements)
        job = await self._evaluations.get(request.evaluation)
        tried = await self._evaluations.tried(job)
        release = self._policy()
        requirements = _requirements(release, job)
        tries = _tries(tried.numbers, tried.policy, requirements)
        findings = await asyncio.to_thread(self._findings, job, tried, tries, request.statements, release)
        if request.validate_only:
            model = job.spec["spec"]["model"]
            said = tuple(one.note for one in tries.values())
            return IssuedVerdict(request.name, findings.outcome, findings.results, model, job.name, tries=said)
        lineage, learnt = await asyncio.to_thread(self._lineage, request.lineage, job.spec["spec"]["model"])
        base = await self._base(findings)
        async with self._db.begin() as tx:
            await _count_uses(tx, findings.policy, request.name, job.spec["spec"]["model"])
            derived, own_passes = await self._derived(tx, findings.origin.derived)
            draft = VerdictPredicate(
                outcome=findings.outcome.value,
                gates=tuple(self._to_json(result) for result in findings.results),
                engine=findings.engine,
                probes=tuple(findings.probes),
                policy=job.spec["spec"]["evaluation"],
                suites={suite.name: suite.digest for suite in findings.policy.suites},
                suites_artifact=job.spec["suites"],
                holdout_uses=await _uses(tx, findings.policy),
                evaluation={"name": job.name, "artifact": job.artifact},
                base_model=job.spec["spec"].get("baseModel", ""),
                adapter=job.spec["spec"].get("adapter", ""),
                dataset=(lineage.get("dataset") or [""])[0],
                lineage=lineage,
                run=request.run,
                audit_heads={**request.audit_heads, "evaluation": _end(await audit.head(tx))},
                statements=(*statements, *own_passes),
                namespace=request.namespace,
                model_name=job.spec["spec"].get("modelName", ""),
                submitter=await _first_submitter(tx, job.name) or ("" if actor in NOBODY else actor),
                weight_files=findings.origin.weight_files,
                base=base,
                derived=derived,
                tries=tries,
                learnt=learnt,
                doses_tried=request.doses_tried,
            )
            unanswered = await failures.standing(tx, draft.weight_files, namespace=request.namespace, answer=draft)
            predicate = replace(draft, unanswered=unanswered)
            envelope = self._sign(findings, predicate.to_json())
            artifact = await asyncio.to_thread(self._publish, envelope, findings)
            await self._store(tx, request, findings, envelope, artifact)
            if findings.outcome is Outcome.FAIL:
                own = findings.origin.own_files
                await failures.record(tx, request.name, own, everywhere=findings.fails_the_policy)
            detail = {"outcome": findings.outcome.value, "artifact": artifact, "model": job.spec["spec"]["model"]}
            await audit.append(tx, actor=actor, action="verdict.issued", subject=request.name, detail=detail)
        return await self.get(request.name)

    async def standing(self, model: str, *, namespace: str) -> tuple[str, ...]:
        """One sentence for each FAIL that stands in a namespace against these weights, whatever they are called;
        NotFound."""
        manifest = await asyncio.to_thread(self._artifacts.manifest, model)
        async with self._db.read() as tx:
            return await failures.standing(tx, weight_files(manifest), namespace=namespace)

    async def all_standing(self) -> tuple[failures.StandingFailure, ...]:
        """Every FAIL of the installation that no PASS answers."""
        async with self._db.read() as tx:
            return await failures.all_standing(tx)

    def _policy(self) -> ReleasePolicy | None:
        """The release policy; None where there is none."""
        try:
            return self._release_policy()
        except NoPolicy:
            return None

    async def _base(self, findings: "_Findings") -> Base:
        """What the verdict signs of the base; who made it is known by what lies in the store, and lay there before."""
        made = await asyncio.to_thread(lambda: list(origins.made_by_runs(self._artifacts, self._looked_at)))
        t = tables.made_weights
        async with self._db.begin() as tx:
            for one in made:
                for file in one.files:
                    if (await tx.execute(select(t.c.file).where(t.c.file == file))).scalar() is None:
                        row = {"file": file, "artifact": one.artifact, "created": await now(tx)}
                        await tx.execute(t.insert().values(**row))
                await failures.remember_tuned(tx, one)
            query = select(t.c.file).where(t.c.file.in_(findings.origin.base_files)).limit(1)
            made_here = (await tx.execute(query)).scalar() is not None
        return findings.origin.base(findings.job.spec["spec"].get("baseModel", ""), made_here=made_here)

    async def _derived(
        self, tx: Transaction, models: tuple[str, ...]
    ) -> tuple[tuple[DerivedBase, ...], list[dict[str, Any]]]:
        """Models between these weights and their root, and the newest PASS of each as a statement to carry along."""
        c, derived, statements = tables.verdicts.c, [], []
        for model in models:
            query = select(tables.verdicts).where(c.model == model, c.outcome == Outcome.PASS.value)
            row = (await tx.execute(query.order_by(c.created.desc()).limit(1))).mappings().first()
            derived.append(DerivedBase(model, row["artifact"] if row else ""))
            if row:
                statements.append({"digest": canonical_digest(row["envelope"]), "envelope": row["envelope"]})
        return tuple(derived), statements

    async def get(self, name: str) -> IssuedVerdict:
        """One verdict; NotFound."""
        async with self._db.read() as tx:
            row = await _row(tx, name)
            if row is None:
                raise NotFound(f"there is no {name}")
            return await self._from_row(tx, row)

    async def page(self, namespace: str, *, model: str, size: int, token: str) -> tuple[tuple[IssuedVerdict, ...], str]:
        """A page of verdicts, newest first, of these weights or of all; `-` is every namespace."""
        c = tables.verdicts.c
        query = select(tables.verdicts)
        query = query.where(c.namespace == namespace) if namespace != EVERY else query
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

    def _findings(
        self,
        job: Job,
        tried: Tried,
        tries: Mapping[str, Try],
        statements: tuple[str, ...],
        release: ReleasePolicy | None,
    ) -> _Findings:
        digest, policy = finished_artifact(job), tried.policy
        confidence = {suite: one.confidence for suite, one in tries.items()}
        evidence = items.evidence(read_items(self._artifacts, digest), self._json(digest, items.PARITY), policy)
        model = job.spec["spec"]["model"]
        keys = self._review_keys()
        rated, problem = human.ratings(self._artifacts, digest, model, statements, keys)
        judgements, calibration = judging.evidence(self._lines(digest, judging.FILE))
        labels, kinds, labels_problem = refusal_judging.labels(self._artifacts, digest, model, statements, keys)
        refusals = refusal_judging.evidence(self._lines(digest, refusal_judging.FILE), labels, kinds)
        evidence = replace(
            evidence,
            ratings=rated,
            ratings_problem=problem,
            judgements=judgements,
            calibration=calibration,
            refusals=refusals,
            labels_problem=labels_problem,
            pace=self._pace(digest),
        )
        engine = self._json(digest, items.ENGINE)["tuned"]
        results = gates.decide(policy, evidence, confidence=confidence)
        requirements = _requirements(release, job)
        fails = required_gates.fail(requirements, policy, evidence, tried.origin) if requirements else release is None
        return _Findings(job, policy, tried.origin, results, engine, self._json(digest, items.PROBES), fails)

    def _pace(self, digest: str) -> dict[str, float]:
        known = any(file.path == items.PACE for file in self._artifacts.manifest(digest).files)
        return dict(self._json(digest, items.PACE)) if known else {}

    def _lines(self, digest: str, path: str) -> list[dict[str, Any]]:
        """The lines of a file that not every evaluation has."""
        if path not in {file.path for file in self._artifacts.manifest(digest).files}:
            return []
        with self._artifacts.open(digest, path) as stored:
            return items.read_lines(stored.read())

    def _json(self, digest: str, path: str) -> Any:
        with self._artifacts.open(digest, path) as stored:
            return json.loads(stored.read())

    def _lineage(self, digests: tuple[str, ...], model: str) -> tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]:
        """The digests by kind of artifact, and what the weights learnt; a digest that this installation does not have
        is an error.

        Who asks may leave data out, or name data that these weights never saw: the manifests behind the weights say
        which it was. Of several data sets (before and after a review) the one that training read comes first.
        """
        learnt, behind = origins.learnt(self._artifacts, model)
        by_kind: dict[str, list[str]] = {kind: list(read) for kind, read in learnt.items()}
        for index, digest in enumerate(digests):
            try:
                kind = self._artifacts.manifest(digest).kind
            except NotFound:
                raise InvalidInput.of(
                    [Violation(f"lineage[{index}]", f"there is no artifact {digest} in this installation")]
                ) from None
            if digest not in by_kind.get(kind, ()) and (kind not in origins.LEARNT or digest in behind):
                by_kind.setdefault(kind, []).append(digest)
        return by_kind, learnt

    # --- signing ---------------------------------------------------------------------------------------

    def _sign(self, findings: _Findings, predicate: Mapping[str, Any]) -> signing.Envelope:
        subjects = {"model": findings.job.spec["spec"]["model"]}
        return self._signer.sign(signing.statement(PREDICATE_TYPE, subjects, predicate))

    def _publish(self, envelope: signing.Envelope, findings: _Findings) -> str:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / FILE).write_bytes(canonical_json(envelope))
            parents = (findings.job.spec["spec"]["model"], findings.job.artifact)
            return self._artifacts.publish(
                Path(folder), kind="verdict", parents=parents, producer="posology.evaluation"
            )

    # --- storing ---------------------------------------------------------------------------------------

    async def _first(self, request: VerdictRequest) -> IssuedVerdict | None:
        async with self._db.read() as tx:
            row = await _row(tx, request.name)
            if row is None:
                return None
            if row["evaluation"] != request.evaluation:
                raise AlreadyExists(f"{request.name} is about {row['evaluation']}; take another id")
            return await self._from_row(tx, row)

    async def _store(
        self, tx: Transaction, request: VerdictRequest, findings: _Findings, envelope: signing.Envelope, artifact: str
    ) -> None:
        await tx.execute(
            tables.verdicts.insert().values(
                name=request.name,
                namespace=request.namespace,
                request_id=request.request_id,
                evaluation=findings.job.name,
                model=findings.job.spec["spec"]["model"],
                outcome=findings.outcome.value,
                gates=[self._to_json(result) for result in findings.results],
                envelope=envelope,
                artifact=artifact,
                weights=findings.origin.weights,
                created=await now(tx),
            )
        )

    async def _from_row(self, tx: Transaction, row: RowMapping) -> IssuedVerdict:
        counted = select(tables.holdout_uses.c.suite).where(tables.holdout_uses.c.verdict == row["name"])
        counts = [await _count(tx, use.suite, until=row["created"]) for use in await tx.execute(counted)]
        predicate = failures.predicate_of(row["envelope"])
        policy, lines, missing = self._held_against_policy(predicate)
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
            tries=(*_chosen(predicate.doses_tried), *(f"{s}: {one.note}" for s, one in predicate.tries.items())),
            doses_tried=predicate.doses_tried,
            policy=policy,
            policy_gaps=missing,
            policy_findings=lines,
        )

    def _held_against_policy(self, predicate: VerdictPredicate) -> tuple[str, tuple[Finding, ...], tuple[str, ...]]:
        """Name of the release policy, its requirements, and which are not shown. For people: serving checks
        signatures."""
        try:
            release = self._release_policy()
        except NoPolicy as error:
            return "", (), (error.message,)
        reviews, bases = carried(predicate, lambda envelope, _: payload(envelope))
        lines = tuple(requirements_of(release, predicate, reviews=reviews, bases=bases))
        return release.name, lines, tuple(gaps(lines))


def _requirements(release: ReleasePolicy | None, job: Job) -> Requirements | None:
    """What the release policy asks of the job's model name; None where it says nothing of it, or there is none."""
    if release is None:
        return None
    return release.requirements(job.name.split("/")[1], job.spec["spec"].get("modelName", ""))


def _tries(numbers: Mapping[str, int], policy: Policy, requirements: Requirements | None) -> dict[str, Try]:
    """By name of suite. The rule is the release policy's; the confidence of a first try is the evaluation's own."""
    budget = requirements.tries if requirements else 0
    tries = {}
    for suite, number in numbers.items():
        spent = min(number, budget or MOST_HALVINGS)  # beyond, the policy refuses whatever comes out
        confidence = confidence_of(spent, confidence=policy.confidence, tries=budget)
        tries[suite] = Try(number, confidence, price(number, confidence=policy.confidence, tries=budget))
    return tries


def _chosen(doses: int) -> tuple[str, ...]:
    return (f"chosen among {doses} doses on development items, which no gate uses",) if doses else ()


def _statements(texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Envelopes that the verdict carries along; who signed them is for whoever reads the verdict to judge."""
    envelopes, wrong = [], []
    for index, text in enumerate(texts):
        try:
            envelope = json.loads(text)
            envelopes.append({"digest": canonical_digest(envelope), "envelope": envelope})
            if not isinstance(envelope, dict) or "payload" not in envelope:
                raise ValueError("it has no payload")
        except ValueError as error:
            wrong.append(Violation(f"statements[{index}]", f"is no DSSE envelope: {error}"))
    if wrong:
        raise InvalidInput.of(wrong)
    return envelopes


async def _row(tx: Transaction, name: str) -> RowMapping | None:
    return (await tx.execute(select(tables.verdicts).where(tables.verdicts.c.name == name))).mappings().first()


async def _first_submitter(tx: Transaction, evaluation: str) -> str:
    """Who had the first verdict on these scores: a colleague who issues it again frees nobody to release his own."""
    query = select(tables.verdicts.c.envelope).where(tables.verdicts.c.evaluation == evaluation)
    row = (await tx.execute(query.order_by(tables.verdicts.c.created).limit(1))).first()
    return failures.predicate_of(row.envelope).submitter if row else ""


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


def _end(head: audit.Head) -> dict[str, Any]:
    return {"length": head.seq, "digest": head.digest}
