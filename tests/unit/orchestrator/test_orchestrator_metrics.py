"""What /metrics says of runs: how many, which one is stuck, and who waits for people since when."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.core import Metric
from support.servers import Postgres

from posology.core.store import Database, now
from posology.orchestrator import metrics, repository
from posology.orchestrator.domain import Phase, Run, Stage, State

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


def shown(families: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def a_run(uid: str, phase: Phase, *stages: Stage) -> Run:
    return Run(
        uid=uid, namespace="default", run_id=uid, spec={}, spec_sha256="", labels={}, phase=phase, message="",
        creator="", request_id="", cancel_reason="", approvals={}, reductions=0, created=AT, ended=None, version=0,
        stages=stages,
    )  # fmt: skip


def test_a_stage_is_still_until_it_says_something_else() -> None:
    time = [0.0]
    stillness = metrics.Stillness(clock=lambda: time[0])
    stage = Stage("sft", 1, State.RUNNING, reason="step 1 of 10", attempt=1)
    other = replace(stage, progress={"done": 3})
    assert stillness.look([("a", stage), ("b", stage)]) == {"sft": 0.0}
    time[0] = 40.0
    assert stillness.look([("a", stage), ("b", other)]) == {"sft": 40.0}
    time[0] = 50.0
    assert stillness.look([("b", other)]) == {"sft": 10.0}
    assert stillness.look([]) == {}


def test_every_phase_is_shown_before_its_first_run() -> None:
    found = shown(metrics.families({"FAILED": 2}, {}, {"review-data": [AT - timedelta(hours=3), AT]}, AT))
    assert found["posology_runs", "FAILED"] == 2
    assert found["posology_runs", "SUCCEEDED"] == 0
    assert found["posology_reviews_waiting", "review-data"] == 2
    assert found["posology_review_oldest_seconds", "review-data"] == 3 * 3600


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_gauges_come_from_the_database(kind: str, tmp_path: object, postgres: Postgres) -> None:
    url = postgres.url() if kind == "postgresql" else f"sqlite:///{tmp_path}/runs.sqlite"
    db = Database(url, schema="orchestrator")
    await db.migrate("posology.core.audit", "posology.orchestrator")
    waiting = Stage("review-data", 1, State.PAUSED, reason="200 pairs to review", attempt=1)
    busy = Stage("sft", 2, State.RUNNING, reason="step 1", attempt=1)
    async with db.begin() as tx:
        for uid in ("one", "two"):
            run = await repository.create(tx, a_run(uid, Phase.REVIEW_PENDING, waiting, busy))
            await repository.append_events(tx, run, [("review-data", "PAUSED", "")], at=await now(tx))
    async with db.read() as tx:
        since = await repository.paused_since(tx)
        running = await repository.in_state(tx, State.RUNNING)
    await metrics._show(db, metrics.Stillness())
    found = shown(metrics.SHOWN.collect())
    await db.close()
    assert len(since["review-data"]) == 2
    assert [(uid, stage.stage) for uid, stage in running] == [("one", "sft"), ("two", "sft")]
    assert found["posology_runs", "REVIEW_PENDING"] == 2
    assert 0 <= found["posology_review_oldest_seconds", "review-data"] < 60
