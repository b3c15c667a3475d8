"""Asking the services for everything that a report says; also of runs that failed or are under way."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from posology.cli import show
from posology.cli.report import decode, window
from posology.cli.report.domain import Behind, Report, Review, Training
from posology.client import Client, envelopes
from posology.client.stored import Stored
from posology.core import schema
from posology.core.errors import NotFound
from posology.v1alpha1 import curation_pb2, evaluation_pb2, job_pb2, serving_pb2, training_pb2
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.job_pb2 import JobStatus
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

QUIET_SECONDS = 1.0
"""A running job that says nothing for this long has said all that there is by now."""
LONGEST_SECONDS = 10.0
"""Longest time that is spent on reading the events of a running job."""
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
_MAKERS = (
    "base-model", "curate", "corrections", "general", "review-data", "preferences", "review-preferences", "sft",
    "dpo", "merge", "evaluate", "verdict",
)  # fmt: skip


async def gather(client: Client, run: str) -> Report:
    """Everything about a run that its services and its artifacts say; NotFound for an unknown run."""
    shown = await client.show(run)
    stored = client.stored()
    verdict = await client.verdict_of(shown)
    evaluation = await _evaluation(client, shown)
    summary = evaluation.get("suites", {})
    trainings = [await _training(client, stored, shown, stage) for stage in ("sft", "dpo")]
    statement = envelopes.payload(verdict.envelope) if verdict else {}
    predicate = statement.get("predicate", {})
    return Report(
        run=shown.name,
        uid=shown.uid,
        phase=show.phase(shown),
        message=shown.message,
        creator=shown.creator,
        created=decode.when(shown.create_time) if shown.HasField("create_time") else "",
        ended=decode.when(shown.end_time) if shown.HasField("end_time") else "",
        seconds=decode.lasted(shown),
        outcome=Verdict.Outcome.Name(verdict.outcome) if verdict else "",
        sentence=_sentence(shown),
        stages=tuple(decode.stage(stage) for stage in shown.stages),
        trainings=tuple(one for one in trainings if one),
        gates=tuple(decode.gate(gate) for gate in verdict.gates) if verdict else (),
        accuracies=tuple(decode.accuracies(summary)),
        classes=decode.classes(summary),
        parity=tuple(decode.rung(step) for step in evaluation.get("parity", ())),
        reviews=tuple([r for s in shown.stages if (r := await _review(client, s.stage, s.resource))]),
        unread=tuple(await _unread(stored, shown)),
        card=await _card(stored, decode.artifact(shown, "review-data", "curate")),
        preferences=await _card(stored, decode.artifact(shown, "review-preferences", "preferences")),
        lineage=await lineage(client, stored, shown),
        verdict=_verdict(verdict, predicate),
        engine=predicate.get("engine", {}),
        spec=schema.to_mapping(shown.spec),
        spec_sha256=shown.spec_sha256,
        versions=_versions([t for t in trainings if t], predicate),
        written=decode.shown(datetime.now(UTC)),
        deployment=await _deployment(client, shown),
        tries=tuple(verdict.tries) if verdict else (),
        policy=verdict.policy if verdict else "",
        requirements=tuple((r.requirement, r.met, r.shown) for r in verdict.policy_findings) if verdict else (),
        regressions=tuple(
            (await _json(stored, decode.artifact(shown, "evaluate"), "regressions.json")).get("suites", ())
        ),
        window=window.of(shown.window) if shown.HasField("window") else None,
    )


def _sentence(run: FineTuneRun) -> str:
    """Why: what the verdict's stage says, else what the run says."""
    reason = next((s.reason for s in run.stages if s.stage == "verdict" and s.artifact), "")
    text = reason or run.message
    return text.partition(": ")[2] if reason.partition(":")[0] in set(Verdict.Outcome.keys()) else text


async def _evaluation(client: Client, run: FineTuneRun) -> Mapping[str, Any]:
    name = decode.resource(run, "evaluate")
    if not name:
        return {}
    evaluation = await client.evaluation.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=name))
    return decode.plain(evaluation.status.summary)


async def _training(client: Client, stored: Stored, run: FineTuneRun, stage: str) -> Training | None:
    name = decode.resource(run, stage)
    if not name:
        return None
    job = await client.training.GetTrainingJob(training_pb2.GetTrainingJobRequest(name=name))
    events = await events_so_far(client, name, ended=job.status.state in _ENDED)
    made = Training(
        stage=stage,
        state=JobStatus.State.Name(job.status.state),
        curve=decode.curve(events),
        findings=tuple(job.findings),
        summary=decode.plain(job.status.summary),
    )
    record = await _json(stored, job.status.artifact, "training.json")
    return replace(made, versions=record.get("versions", {}))


async def events_so_far(client: Client, name: str, *, ended: bool) -> list[job_pb2.JobEvent]:
    """All events of a job that has ended; of one that runs, those that are there by now."""
    events: list[job_pb2.JobEvent] = []
    stream = client.job_events(name).__aiter__()
    until = time.monotonic() + LONGEST_SECONDS
    while ended or time.monotonic() < until:  # a job that measures all the time is never quiet
        try:
            events.append(await asyncio.wait_for(anext(stream), None if ended else QUIET_SECONDS))
        except (StopAsyncIteration, TimeoutError):
            break
    return events


async def _review(client: Client, stage: str, resource: str) -> Review | None:
    if "/reviews/" not in resource:
        return None
    return decode.review(stage, await client.curation.GetReview(curation_pb2.GetReviewRequest(name=resource)))


async def _unread(stored: Stored, run: FineTuneRun) -> list[str]:
    """What the run made, by its stages, whose bytes are not to be had."""
    made = ((stage, decode.artifact(run, stage)) for stage in _MAKERS)
    return [
        f"{stage}: {digest}"
        for stage, digest in made
        if digest and await asyncio.to_thread(stored.holding, digest) is None
    ]


async def _card(stored: Stored, digest: str) -> Mapping[str, Any]:
    return await _json(stored, digest, "card.json")


async def _json(stored: Stored, digest: str, path: str) -> Mapping[str, Any]:
    """A file of an artifact; empty where there is none (yet, or any more)."""

    def read() -> Mapping[str, Any]:
        content: Mapping[str, Any] = stored.json(digest, path) if digest and stored.has(digest, path) else {}
        return content

    return await asyncio.to_thread(read)


async def lineage(client: Client, stored: Stored, run: FineTuneRun) -> tuple[Behind, ...]:
    """Every artifact behind the run, with what the store says of those that the index does not list."""
    return tuple([await _known(stored, one) for one in await _lineage(client, run)])


async def _lineage(client: Client, run: FineTuneRun) -> list[Behind]:
    """Every artifact that the run's artifacts were made from, and these themselves, in the order of the stages."""
    artifacts: dict[str, Behind] = {}
    for digest in (decode.artifact(run, stage) for stage in _MAKERS):
        if digest and digest not in artifacts:
            for artifact in reversed(await _trace(client, digest)):
                artifacts.setdefault(artifact.digest, artifact)
    return list(artifacts.values())


async def _trace(client: Client, digest: str) -> list[Behind]:
    try:
        return [decode.behind(artifact) for artifact in await client.trace(digest)]
    except NotFound:  # not entered in the index, or collected since: its digest still belongs on the page
        return [Behind(digest, "unknown", 0, "", ())]


async def _known(stored: Stored, artifact: Behind) -> Behind:
    """What the store says of an artifact that the index does not list."""
    if artifact.kind != "unknown" or not (store := await asyncio.to_thread(stored.holding, artifact.digest)):
        return artifact
    manifest = await asyncio.to_thread(store.manifest, artifact.digest)
    return replace(
        artifact, kind=manifest.kind, size=manifest.size, producer=manifest.producer, parents=manifest.parents
    )


async def _deployment(client: Client, run: FineTuneRun) -> Mapping[str, Any]:
    name = decode.resource(run, "deploy")
    if not name:
        return {}
    deployment = await client.serving.GetDeployment(serving_pb2.GetDeploymentRequest(name=name))
    return schema.to_mapping(deployment)


def _verdict(verdict: Verdict | None, predicate: Mapping[str, Any]) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {
        "name": verdict.name,
        "artifact": verdict.artifact,
        "model": verdict.model,
        "evaluation": verdict.evaluation,
        "issued": decode.when(verdict.create_time),
        "holdoutUses": predicate.get("holdoutUses", {}),
        "signedBy": envelopes.signers(verdict.envelope),
        "statements": [decode.statement_line(one["envelope"]) for one in predicate.get("statements", ())],
    }


def _versions(trainings: Iterable[Training], predicate: Mapping[str, Any]) -> dict[str, str]:
    """Of this program, of what trained, of what served the evaluation."""
    versions = {"posology (this report)": version("posology")}
    for training in trainings:
        versions |= {name: value for name, value in training.versions.items() if name != "posology"}
    if engine := predicate.get("engine", {}).get("engine_version"):
        versions["vllm"] = engine
    return versions
