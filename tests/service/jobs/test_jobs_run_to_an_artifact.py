"""The straight path: a job becomes an artifact, with its events, its audit entry and nothing left behind."""

import json
from pathlib import Path

from support.job_installation import Installation, events, finished, named, until

from posology.core import audit
from posology.core.audit.tables import metadata as audit_metadata
from posology.core.jobs.domain import EventKind, State
from posology.core.jobs.service.tables import metadata


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


async def test_both_databases_carry_jobs(database_url: str, tmp_path: Path) -> None:
    installation = Installation(tmp_path, database_url=database_url)
    await installation.migrate()
    assert await installation.db.drift(audit_metadata, metadata) == []
    async with installation.serving() as jobs:
        await jobs.create(named("a", "fail", error="Unavailable", until=2, steps=3))
        await jobs.create(named("b", "odd"))
        first = await finished(jobs, "namespaces/test/evaluations/a")
        second = await finished(jobs, "namespaces/test/evaluations/b")
        await until(lambda: not (tmp_path / "jobs/test.evaluations.a/work").exists())
    await installation.db.close()
    assert (first.state, first.attempt, second.state) == (State.SUCCEEDED, 2, State.SUCCEEDED)


async def test_thousands_of_metrics_are_kept_in_order(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", "many", steps=5000))
        found = await events(jobs, "namespaces/test/evaluations/a")
    assert [e.data["step"] for e in found if e.kind is EventKind.METRIC] == list(range(5000))


async def test_a_handler_may_fork_while_its_stream_is_open(installation: Installation) -> None:
    """As data loaders do."""
    async with installation.serving() as jobs:
        await jobs.create(named("a", "fork"))
        job = await finished(jobs, "namespaces/test/evaluations/a")
    assert (job.state, job.summary) == (State.SUCCEEDED, {"sum": 285})


async def test_creation_and_success_are_audited(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=1))
        job = await finished(jobs, "namespaces/test/evaluations/a")
    async with installation.db.read() as tx:
        entries = [entry async for entry in audit.entries(tx, subject=job.name)]
    assert [entry.action for entry in entries] == ["job.created", "job.succeeded"]
    assert entries[-1].detail["artifact"] == job.artifact
