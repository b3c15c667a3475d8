"""The straight path: a job becomes an artifact, with its events, its audit entry and nothing left behind."""

import json

from installation import Installation, events, finished, named

from posology.core import audit
from posology.core.jobs.domain import EventKind, State


async def test_a_job_ends_as_a_published_artifact(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=5))
        job = await finished(jobs, "namespaces/test/evaluations/a")
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 1, 0)
    assert job.summary == {"count": 5, "attempt": 1}
    manifest = installation.store.manifest(job.artifact)
    assert (manifest.kind, manifest.parameters) == ("evaluation", {"steps": 5})
    with installation.store.open(job.artifact, "count.json") as file:
        assert json.load(file)["count"] == 5


async def test_every_metric_and_log_line_is_kept_and_only_the_last_progress(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=50))
        found = await events(jobs, "namespaces/test/evaluations/a")
    assert [e.data["step"] for e in found if e.kind is EventKind.METRIC] == list(range(50))
    assert [e.data["message"] for e in found if e.kind is EventKind.LOG] == ["counting"]
    assert [e.data["done"] for e in found if e.kind is EventKind.PROGRESS][-1] == 50
    assert found[-1].data["state"] == State.SUCCEEDED
    sequences = [e.sequence for e in found]
    assert sequences == sorted(set(sequences))


async def test_creation_and_success_are_audited(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, "namespaces/test/evaluations/a")
    async with installation.db.read() as tx:
        entries = [entry async for entry in audit.entries(tx, subject=job.name)]
    assert [entry.action for entry in entries] == ["job.created", "job.succeeded"]
    assert entries[-1].detail["artifact"] == job.artifact
