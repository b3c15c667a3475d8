"""Evaluations: admitted, started with the suites pinned by digest, and remembered so that a base is scored once."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from posology.core import audit, names
from posology.core.artifacts import ArtifactStore
from posology.core.canonical import canonical_digest
from posology.core.errors import AlreadyExists, FailedPrecondition, InvalidInput, NotFound, PosologyError, Violation
from posology.core.jobs.domain import Event, Job, NewJob
from posology.core.jobs.domain import Origin as JobOrigin
from posology.core.jobs.service.jobs import JobPage, Jobs, Published
from posology.core.model_endpoints.document import Registry
from posology.core.release.document import NoPolicy
from posology.core.release.domain import ReleasePolicy
from posology.core.release.tries import price
from posology.core.store import Database, Transaction, now
from posology.evaluation import (
    admission,
    development,
    few_shot,
    forecast,
    items,
    judging,
    origins,
    sources,
    submission,
    suites,
    tables,
    tries,
)
from posology.evaluation.development import ComparedDose
from posology.evaluation.domain import EvaluationRequest, Policy, Suite
from posology.evaluation.origins import Origin
from posology.evaluation.window import Dose, Rule, Window, judge

KIND = "evaluation"
PRODUCER = "posology.evaluation"
PolicyOf = Callable[[Mapping[str, Any], Mapping[str, str]], Policy]


@dataclass(frozen=True)
class Admitted:
    """A checked request: its policy, and each suite's bytes by name."""

    asked: EvaluationRequest
    policy: Policy
    contents: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()
    """Gates that cannot pass, or seldom would; only where a request only asks."""

    @property
    def source_sha256(self) -> str:
        """Hex sha256 over the digests of all suites."""
        named = sorted((suite.name, suite.digest) for suite in self.policy.suites)
        if judging.CALIBRATION in self.contents:
            named.append((judging.CALIBRATION, sources.digest(self.contents[judging.CALIBRATION])))
        return hashlib.sha256(repr(named).encode()).hexdigest()


@dataclass(frozen=True)
class Tried:
    """A published evaluation as a use of its suites: `numbers` by name of suite, from 1."""

    policy: Policy
    origin: Origin
    numbers: Mapping[str, int]


class Evaluations:
    """What the servicer delegates to."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        artifacts: ArtifactStore,
        allowed: sources.Allowed,
        policy_of: PolicyOf,
        release_policy: Callable[[], ReleasePolicy],
        model_endpoints: Registry,
    ) -> None:
        self._model_endpoints = model_endpoints
        self._db = db
        self._jobs = jobs
        self._artifacts = artifacts
        self._allowed = allowed
        self._policy_of = policy_of
        self._release_policy = release_policy

    async def admit(self, request: EvaluationRequest) -> Admitted:
        """Check gates, read and parse every suite; InvalidInput with everything that is wrong.

        A request that only asks, and names what the weights would serve as, is held against the release policy too.
        """
        stated = request.spec["evaluation"]
        policy = self._policy_of(request.spec, {})
        wrong = list(admission.of_spec(policy, stated))
        contents = await asyncio.to_thread(self._read, stated.get("suites", []), wrong)
        if judge := stated.get("judge"):
            await asyncio.to_thread(self._check_judge, judge, request.name.split("/")[1], contents, wrong)
        if wrong:
            raise InvalidInput.of(wrong)
        digests = {name: sources.digest(content) for name, content in contents.items() if name != judging.CALIBRATION}
        admitted = Admitted(request, self._policy_of(request.spec, digests), contents)
        parsed = admission.parse_all(self._all_suites(request.spec, digests), contents)
        choices = development.violations(stated.get("suites", []), parsed, stated["gates"])
        rival = few_shot.violations(admitted.policy, stated, parsed)
        if wrong := [*admission.of_items(admitted.policy, parsed), *choices, *rival]:
            raise InvalidInput.of(wrong)
        if request.validate_only and request.spec.get("modelName"):
            self._check_release(admitted, parsed)
        if request.validate_only:
            return replace(admitted, warnings=tuple(forecast.warnings(admitted.policy, parsed)))
        return admitted

    def _all_suites(self, spec: Mapping[str, Any], digests: Mapping[str, str]) -> tuple[Suite, ...]:
        """Those that gate and those that choose."""
        both = ({**spec, "development": choosing, "baseline": False} for choosing in (False, True))
        return tuple(suite for one in both for suite in self._policy_of(one, digests).suites)

    async def compare(self, parent: str, doses: Sequence[ComparedDose], rule: Rule) -> Window:
        """What the development items of several doses say beside each other; InvalidInput for what is no comparison."""
        wrong = [
            Violation(f"doses[{i}].evaluation", f"{one.evaluation} is not of {parent}")
            for i, one in enumerate(doses)
            if one.evaluation and not one.evaluation.startswith(f"{parent}/")
        ]
        if wrong:
            raise InvalidInput.of(wrong)
        jobs = {i: await self.get(one.evaluation) for i, one in enumerate(doses) if one.evaluation and not one.stopped}
        for job in jobs.values():
            finished_artifact(job)
        development.check_comparable(jobs)

        def judged() -> Window:
            scored = []
            for index, one in enumerate(doses):
                if job := jobs.get(index):
                    suites = self._policy_of(job.spec["spec"], job.spec["digests"]).suites
                    scored.append(development.dose_of(one, suites, self._artifacts, job))
                else:
                    scored.append(Dose(one.number, one.label, stopped=one.stopped or "it was not scored"))
            return judge(scored, rule)

        return await asyncio.to_thread(judged)

    def _check_release(self, admitted: Admitted, parsed: Mapping[str, tuple[suites.Item, ...]]) -> None:
        try:
            release = self._release_policy()
        except NoPolicy as error:
            raise InvalidInput.of([Violation("spec.serving", error.message)]) from error
        namespace, model_name = admitted.asked.name.split("/")[1], admitted.asked.spec["modelName"]
        wrong = submission.violations(release, admitted.policy, parsed, namespace=namespace, model_name=model_name)
        if (requirements := release.requirements(namespace, model_name)) and admitted.asked.reviews is not None:
            wrong += submission.review_violations(release.name, requirements, admitted.asked.reviews)
        if wrong:
            raise InvalidInput.of(wrong)

    async def expected_tries(self, admitted: Admitted) -> tuple[str, ...]:
        """Which use of each suite this would be, and what it costs; nothing where no model name is told."""
        namespace, model_name = admitted.asked.name.split("/")[1], admitted.asked.spec.get("modelName", "")
        if not model_name:
            return ()
        try:
            requirements = self._release_policy().requirements(namespace, model_name)
        except NoPolicy:
            requirements = None
        budget = requirements.tries if requirements else 0
        root = await asyncio.to_thread(origins.root_of, self._artifacts, admitted.asked.spec.get("baseModel", ""))
        sentences = []
        async with self._db.read() as tx:
            for suite in admitted.policy.suites:
                number = await tries.expected(tx, suite.digest, namespace=namespace, model_name=model_name, root=root)
                cost = price(number, confidence=admitted.policy.confidence, tries=budget)
                sentences.append(f"{suite.name}, by {model_name}: {cost}")
        return tuple(sentences)

    async def create(self, admitted: Admitted) -> Job:
        """Start it once; a repeated request gives the first job, whatever became reusable since."""
        first = await self._existing(admitted)
        if first is not None:
            return first
        await self._check_weights(admitted.asked.spec)
        pinned = await asyncio.to_thread(self._publish_suites, admitted)
        spec = {
            "spec": dict(admitted.asked.spec),
            "sourceSha256": admitted.source_sha256,
            "suites": pinned,
            "digests": {suite.name: suite.digest for suite in admitted.policy.suites},
            "reuse": await self._reusable(admitted),
        }
        return await self._jobs.create(NewJob(admitted.asked.name, KIND, spec, admitted.asked.request_id))

    async def get(self, name: str) -> Job:
        """The job; NotFound."""
        return await self._jobs.get(name)

    async def page(self, namespace: str, *, size: int, token: str) -> JobPage:
        """A page of evaluations, newest first."""
        return await self._jobs.list(namespace, kinds=(KIND,), page_size=size, page_token=token)

    async def cancel(self, name: str) -> Job:
        """Stop it; what is over stays as it is."""
        return await self._jobs.cancel(name)

    def watch(self, name: str, resume_token: str) -> AsyncIterator[Event]:
        """Its events from the token on."""
        return self._jobs.watch(name, resume_token)

    async def tried(self, job: Job) -> Tried:
        """Which use of each suite this evaluation is; counted when it was published, and once only.

        InvalidInput for a development evaluation: its items chose the weights.
        """
        finished_artifact(job)
        if job.spec["spec"].get("baseline"):
            raise InvalidInput(
                f"{job.name} scored the base with examples in its prompt; nothing was tuned that may pass"
            )
        if job.spec["spec"].get("development"):
            raise InvalidInput(
                f"{job.name} scored development items, which choose a dose; issue a verdict on suites that gate"
            )
        return await self._tried(job)

    async def _tried(self, job: Job) -> Tried:
        policy = self._policy_of(job.spec["spec"], job.spec["digests"])
        model, base, model_name = origins.spec_of(job.spec)
        origin = await asyncio.to_thread(origins.origin, self._artifacts, model, base)
        namespace = job.name.split("/")[1]
        async with self._db.begin() as tx:
            numbers = await tries.count(tx, job.name, policy, origin, namespace=namespace, model_name=model_name)
        return Tried(policy, origin, numbers)

    async def item_lines(self, name: str) -> list[dict[str, Any]]:
        """Every stored item line of a finished evaluation; FailedPrecondition before."""
        job = await self.get(name)
        return await asyncio.to_thread(read_items, self._artifacts, finished_artifact(job))

    async def remember(self, published: Published) -> None:
        """After an evaluation was published: its base scores may be used by later ones. Bears repetition."""
        spec = published.job.spec
        if spec["spec"].get("baseline"):
            return  # with examples in its prompt the base is another model
        if not spec["spec"].get("development"):  # choosing on development items is no use of the holdout
            await self._tried(published.job)
        policy = self._policy_of(spec["spec"], spec["digests"])
        namespace = names.namespace_of(published.job.name)
        async with self._db.begin() as tx:
            for suite in (one for one in policy.suites if one.kind.compared):
                await _remember(tx, base_key(spec["spec"], suite, namespace=namespace), published.digest)
            detail = {"artifact": published.digest, "model": spec["spec"].get("model", "")}
            await audit.append(
                tx, actor=PRODUCER, action="evaluation.published", subject=published.job.name, detail=detail
            )

    def _read(self, stated: list[Mapping[str, Any]], wrong: list[Violation]) -> dict[str, bytes]:
        """Bytes by name of suite; what cannot be read is added to `wrong`."""
        contents: dict[str, bytes] = {}
        for index, suite in enumerate(stated):
            try:
                contents[suite["name"]] = sources.read(suite["uri"], self._allowed)
            except PosologyError as error:
                if error.retryable:
                    raise
                wrong.append(Violation(f"spec.evaluation.suites[{index}].uri", error.message))
        return contents

    def _check_judge(
        self, judge: dict[str, Any], namespace: str, contents: dict[str, bytes], wrong: list[Violation]
    ) -> None:
        """The judge's endpoint may be used here, and what experts said before it can be read."""
        at = "spec.evaluation.judge"
        try:
            endpoint = self._model_endpoints.resolve(judge["modelEndpoint"], namespace, judge.get("model", ""), at=at)
            judge["model"] = endpoint[1]  # the first of the endpoint's where none is named; it decides what is scored
        except (InvalidInput, FailedPrecondition) as error:
            wrong += error.violations or (Violation(f"{at}.modelEndpoint", error.message),)
        if uri := judge.get("calibration"):
            try:
                content = sources.read(uri, self._allowed)
                judging.parse_calibration(content)
                contents[judging.CALIBRATION] = content
            except PosologyError as error:
                if error.retryable:
                    raise
                wrong += error.violations or (Violation(f"{at}.calibration", error.message),)

    async def _existing(self, admitted: Admitted) -> Job | None:
        try:
            job = await self._jobs.get(admitted.asked.name)
        except NotFound:
            return None
        same = job.spec["spec"] == admitted.asked.spec and job.spec["sourceSha256"] == admitted.source_sha256
        if not same:
            raise AlreadyExists(f"{admitted.asked.name} was created with another spec or other suites; take another id")
        return job

    async def _check_weights(self, spec: Mapping[str, Any]) -> None:
        for field in ("model", "baseModel", "adapter"):
            digest = spec.get(field, "")
            if digest and not await asyncio.to_thread(self._artifacts.exists, digest):
                raise InvalidInput.of(
                    [Violation(f"spec.{field}", f"there is no artifact {digest} in this installation")]
                )

    def _publish_suites(self, admitted: Admitted) -> str:
        """One artifact with the bytes of every suite: what was asked stays readable for an auditor."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in admitted.contents.items():
                (Path(folder) / f"{name}.jsonl").write_bytes(content)
            return self._artifacts.publish(Path(folder), kind="suites", producer=PRODUCER)

    async def _reusable(self, admitted: Admitted) -> dict[str, str]:
        """By suite: an earlier evaluation that scored this base on these bytes with this engine."""
        found, namespace = {}, names.namespace_of(admitted.asked.name)
        if admitted.asked.spec.get("baseline"):
            return {}
        async with self._db.read() as tx:
            for suite in (one for one in admitted.policy.suites if one.kind.compared):
                query = select(tables.base_scores.c.artifact).where(
                    tables.base_scores.c.key == base_key(admitted.asked.spec, suite, namespace=namespace)
                )
                if artifact := (await tx.execute(query)).scalar():
                    found[suite.name] = artifact
        return {name: a for name, a in found.items() if await asyncio.to_thread(self._artifacts.exists, a)}


def base_key(spec: Mapping[str, Any], suite: Suite, *, namespace: str) -> str:
    """Digest of everything that decides a base's scores on a suite, except what only a running engine knows.

    Its namespace is part of it: a worker there scored the base, and what it wrote decides nobody else's gates.
    """
    return canonical_digest(
        {
            "namespace": namespace,
            "base": spec.get("baseModel", ""),
            "suite": suite.digest,
            "name": suite.name,
            "kind": suite.kind.value,
            "scoring": suite.scoring.value,
            "maxTokens": suite.max_tokens,
            **({"lmEval": vars(suite.lm_eval)} if suite.lm_eval else {}),
            "engine": spec["evaluation"].get("engine", {}),
            "onGpus": spec["evaluation"].get("resources", {}).get("gpus", 0) > 0,
        }
    )


def origin_of(job: Job) -> JobOrigin:
    """An evaluation is made from the weights and suites that its spec names; its worker knows the engine alone."""
    spec = job.spec["spec"]
    parents = dict.fromkeys((spec["model"], spec["baseModel"], spec.get("adapter", ""), job.spec["suites"]))
    return JobOrigin(KIND, tuple(digest for digest in parents if digest), observed=frozenset({"engine"}))


def finished_artifact(job: Job) -> str:
    """The published digest of a finished evaluation; InvalidInput says how far it is."""
    if not job.artifact:
        raise InvalidInput(f"{job.name} is {job.state.value}: {job.reason}; wait until it has succeeded")
    return job.artifact


def read_items(artifacts: ArtifactStore, digest: str) -> list[dict[str, Any]]:
    """The item lines of a published evaluation, verified."""
    with artifacts.open(digest, items.ITEMS) as stored:
        return items.read_lines(stored.read())


async def _remember(tx: Transaction, key: str, artifact: str) -> None:
    await tx.execute(delete(tables.base_scores).where(tables.base_scores.c.key == key))
    await tx.execute(tables.base_scores.insert().values(key=key, artifact=artifact, created=await now(tx)))
