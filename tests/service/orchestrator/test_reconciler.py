"""The controller: every transition is an event, a retry is counted, a pause holds nothing, a reduction is said."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from service.orchestrator.noop import GRAPH, SPEC, Noop, new_run, reconciler

from posology.core import audit
from posology.core.errors import AlreadyExists, FailedPrecondition, Unavailable
from posology.core.store import Database
from posology.orchestrator import repository
from posology.orchestrator.domain import Failure, Observation, Phase, Run, Stage, State


@pytest.fixture
async def db(database: Database) -> Database:
    await database.migrate("posology.core.audit", "posology.orchestrator")
    return database


class Scripted(Noop):
    """Answers with what the test says, one after another."""

    def __init__(self, **answers: list[Any]) -> None:
        super().__init__()
        self.answers = answers
        self.cancelled: list[str] = []

    async def start(self, run: Run, stage: Stage) -> Observation:
        return await self.observe(run, stage)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        script = self.answers.get(stage.stage)
        if not script:
            return await super().observe(run, stage)
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Observation)
        return answer

    async def cancel(self, run: Run, stage: Stage) -> None:
        self.cancelled.append(stage.stage)


async def submit(db: Database, run: Run | None = None) -> Run:
    async with db.begin() as tx:
        return await repository.create(tx, run or new_run(1))


async def until(
    db: Database, driver: Any, reached: Callable[[Run], bool], *, run_id: str = "run-1", seconds: float = 10
) -> Run:
    loop = asyncio.create_task(reconciler(db, driver, poll_seconds=0.02).run())
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with db.read() as tx:
                    run = await repository.get(tx, "default", run_id)
                if reached(run):
                    return run
                await asyncio.sleep(0.02)
    finally:
        loop.cancel()


async def story(db: Database) -> list[tuple[str, str]]:
    async with db.read() as tx:
        return [(row["stage"], row["state"]) for row in await repository.events_after(tx, "u00000000001", 0)]


async def test_a_run_goes_through_its_stages_and_every_transition_is_an_event(db: Database) -> None:
    await submit(db)
    run = await until(db, Noop(), lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    assert await story(db) == [
        ("", "PENDING"), ("first", "SUCCEEDED"), ("", "RUNNING"), ("second", "SUCCEEDED"), ("third", "SUCCEEDED"),
        ("", "SUCCEEDED"),
    ]  # fmt: skip
    async with db.read() as tx:
        assert [e.action async for e in audit.entries(tx)] == ["run.succeeded"]


async def test_the_same_request_is_the_same_run_and_another_one_may_not_take_its_name(db: Database) -> None:
    first = await submit(db)
    assert (await submit(db)).uid == first.uid
    other = Run(**{**vars(new_run(1)), "uid": "u2", "request_id": "another"})
    with pytest.raises(AlreadyExists, match="choose another name"):
        await submit(db, other)


async def test_a_failure_worth_a_retry_is_tried_again_and_said(db: Database) -> None:
    lost = Observation(State.FAILED, "the node vanished", error=Failure("Unavailable", "the node vanished", True))
    await submit(db)
    run = await until(db, Scripted(second=[lost, Observation(State.SUCCEEDED, "done")]), lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    assert run.stage("second").attempt == 2  # type: ignore[union-attr]
    assert ("second", "WAITING") in await story(db)


async def test_a_user_error_ends_the_run_and_what_was_not_started_is_cancelled(db: Database) -> None:
    await submit(db)
    run = await until(db, Scripted(second=[FailedPrecondition("no template")]), lambda r: r.phase.ended)
    assert (run.phase, run.message) == (Phase.FAILED, "second: no template")
    assert run.stage("third").state is State.CANCELLED  # type: ignore[union-attr]


async def test_a_service_that_is_away_is_waited_for(db: Database) -> None:
    away = Unavailable("training is not reachable")
    await submit(db)
    driver = Scripted(first=[away, away, Observation(State.SUCCEEDED, "done")])
    run = await until(db, driver, lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    assert run.stage("first").attempt == 1  # type: ignore[union-attr]


async def test_a_defect_ends_the_stage_without_a_traceback_for_the_user(db: Database) -> None:
    await submit(db)
    run = await until(db, Scripted(first=[KeyError("oops")]), lambda r: r.phase.ended)
    assert run.phase is Phase.FAILED
    assert "Traceback" not in run.message


async def test_a_paused_run_holds_no_lease_and_goes_on_when_it_is_woken(db: Database) -> None:
    waits = Observation(State.PAUSED, "0 of 10 items are rated", resource="namespaces/default/reviews/r")
    driver = Scripted(second=[waits])
    await submit(db)
    run = await until(db, driver, lambda r: r.phase is Phase.REVIEW_PENDING)
    async with db.begin() as tx:
        assert await repository.claim(tx, lease_seconds=1) == []
    driver.answers["second"] = [Observation(State.SUCCEEDED, "0 errors in 10 items")]
    async with db.begin() as tx:
        assert await repository.uids_of_resources(tx, ["namespaces/default/reviews/r"]) == [run.uid]
        await repository.wake(tx, [run.uid])
    assert (await until(db, driver, lambda r: r.phase.ended)).phase is Phase.SUCCEEDED


async def test_cancelling_stops_the_work_and_ends_the_run(db: Database) -> None:
    driver = Scripted(second=[Observation(State.RUNNING, "at work", resource="namespaces/default/jobs/j")])
    await submit(db)
    run = await until(db, driver, lambda r: r.phase is Phase.RUNNING and r.stage("second").state is State.RUNNING)  # type: ignore[union-attr]
    async with db.begin() as tx:
        await repository.request_cancel(tx, run, "wrong data")
    run = await until(db, driver, lambda r: r.phase.ended)
    assert (run.phase, driver.cancelled) == (Phase.CANCELLED, ["second"])
    assert run.stage("third").reason == "cancelled: wrong data"  # type: ignore[union-attr]


async def test_a_pass_that_lost_its_lease_writes_nothing(db: Database) -> None:
    await submit(db)
    async with db.begin() as tx:
        [old] = await repository.claim(tx, lease_seconds=0)
    assert old is not None
    await asyncio.sleep(0.01)
    async with db.begin() as tx:
        assert await repository.claim(tx, lease_seconds=10)
    with pytest.raises(repository.LostLease):
        async with db.begin() as tx:
            await repository.save(tx, old, [])


async def test_a_stage_with_the_same_inputs_reuses_what_was_published(db: Database) -> None:
    class Repeatable(Noop):
        async def inputs(self, run: Run) -> dict[str, Any]:
            return {"seed": 0}

    await submit(db)
    first = await until(db, Repeatable(), lambda r: r.phase.ended)
    await submit(db, new_run(2))
    second = await until(db, Repeatable(), lambda r: r.phase.ended, run_id="run-2")
    assert [s.reused for s in first.stages] == [False] * 3
    assert [s.reused for s in second.stages] == [True] * 3
    assert [s.artifact for s in first.stages] == [s.artifact for s in second.stages]


def test_a_regression_lowers_the_dose_once_and_says_so() -> None:
    from posology.orchestrator import graph, transitions

    spec = {**SPEC, "evaluation": {"onRegression": {"reduceIntensity": True, "attempts": 1}}}
    done = [Stage(s.stage, s.position, State.SUCCEEDED, artifact="sha256:x", attempt=1) for s in graph.stages_of(spec)]
    run = Run(**{**vars(new_run(1)), "spec": spec, "stages": tuple(done)})
    error = Failure("NotReleased", "refusals fell")
    failed = Stage("verdict", 10, State.FAILED, "refusals fell", error=error, details={"onlyRegression": True})
    change = transitions.consequences(run, failed)
    assert change.reductions == 1
    assert {s.stage for s in change.stages} == {"sft", "merge", "evaluate", "verdict"}
    assert all("half the intensity, since refusals fell" in s.reason for s in change.stages)
    again = transitions.consequences(Run(**{**vars(run), "reductions": 1}), failed)
    assert again.stages == (failed,)


def test_every_stage_of_the_graph_needs_only_stages_before_it() -> None:
    from posology.orchestrator import graph

    for node in graph.GRAPH:
        before = {n.stage for n in graph.GRAPH[: graph.GRAPH.index(node)]}
        assert set(node.needs({"startTraining": "AFTER_REVIEW"})) <= before
    assert {n.stage for n in GRAPH} == {"first", "second", "third"}
