"""A sweep: each dose is an ordinary run that shares what is the same, cannot-win doses are stopped, one is chosen."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from service.orchestrator.noop import Noop, new_run

from posology.core.errors import Unavailable
from posology.core.store import Database
from posology.orchestrator import convert, repository, sweeps, transitions
from posology.orchestrator.domain import Failure, Observation, Phase, Run, Stage, State
from posology.orchestrator.graph import GRAPH, stages_of
from posology.orchestrator.reconciler import Reconciler
from posology.orchestrator.stages.sweep import Sweep
from posology.orchestrator.sweeps import Curve, is_gentler, reason_to_stop
from posology.v1alpha1 import evaluation_pb2, job_pb2, training_pb2

SFT = {"method": "LORA", "rank": 16, "learningRate": 2e-4, "epochs": 3.0, "targetModules": ["q_proj"]}
SWEEP = {"margin": 0.02, "maxDrop": 0.03, "minGain": 0.0, "parallel": 1, "stopEarly": True}


def spec_of(*doses: Mapping[str, Any], **sweep: Any) -> dict[str, Any]:
    return {
        "baseModel": {"uri": "file:/base"},
        "curation": {"review": {}, "preferences": {}, "general": {"uri": "file:/g", "share": 0.08}},
        "training": {"sft": SFT, "dpo": {}},
        "evaluation": {"confidence": 0.95, "onRegression": {"reduceIntensity": True, "attempts": 1}},
        "serving": {},
        "startTraining": "AFTER_REVIEW",
        "sweep": {**SWEEP, "doses": list(doses), **sweep},
    }


@pytest.fixture
async def db(database: Database) -> Database:
    await database.migrate("posology.core.audit", "posology.orchestrator")
    return database


@dataclass
class Services:
    """Training and evaluation as a sweep asks them."""

    recommended: int = 2
    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """By the number of a dose."""
    asked: list[evaluation_pb2.CompareDosesRequest] = field(default_factory=list)
    away: int = 0

    async def GetTrainingJob(self, request: training_pb2.GetTrainingJobRequest) -> training_pb2.TrainingJob:
        points = self.losses.get(request.name.rsplit("-", 1)[1], [(0, 2.0), (10, 1.0)])
        validation = [job_pb2.Metric(step=step, values={"eval_loss": loss}) for step, loss in points]
        status = job_pb2.JobStatus(progress=job_pb2.Progress(total=100))
        return training_pb2.TrainingJob(name=request.name, status=status, validation=validation)

    async def CompareDoses(self, request: evaluation_pb2.CompareDosesRequest) -> evaluation_pb2.DoseComparison:
        if self.away:
            self.away -= 1
            raise Unavailable("evaluation is not reachable")
        self.asked.append(request)
        judged = [evaluation_pb2.JudgedDose(number=d.number, label=d.label, out=d.stopped) for d in request.doses]
        return evaluation_pb2.DoseComparison(
            doses=judged, recommended=self.recommended, best=self.recommended, sentence="because"
        )


class Work(Noop):
    """Every other stage: succeeds with an artifact that tells what it was made with."""

    def __init__(self, hanging: str = "", failing: str = "") -> None:
        super().__init__()
        self.started: list[tuple[str, str]] = []
        self.hanging, self.failing = hanging, failing

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        return None

    async def start(self, run: Run, stage: Stage) -> Observation:
        self.started.append((run.run_id, stage.stage))
        return await self.observe(run, stage)

    async def observe(self, run: Run, stage: Stage) -> Observation:
        number = str(run.spec.get("doseOf", {}).get("number", 0))
        resource = f"namespaces/default/jobs/{stage.stage}-{number}"
        if stage.stage == "sft" and number == self.hanging:
            return Observation(State.RUNNING, "at work", resource=resource)
        if stage.stage == "sft" and number == self.failing:
            return Observation(
                State.FAILED, "out of memory", resource=resource, error=Failure("Exhausted", "no memory")
            )
        sft = run.spec["training"]["sft"]
        made = {"sft": f"sha256:rank-{sft['rank']}"}
        return Observation(State.SUCCEEDED, "done", artifact=made.get(stage.stage, "sha256:x"), resource=resource)


def replica(db: Database, services: Services, work: Work) -> Reconciler:
    clients: Any = SimpleNamespace(training=services, evaluation=services)
    drivers: dict[str, Any] = {node.stage: work for node in GRAPH}
    return Reconciler(db, drivers | {"sweep": Sweep(clients, db)}, poll_seconds=0.02)


async def submit(db: Database, spec: Mapping[str, Any]) -> Run:
    async with db.begin() as tx:
        return await repository.create(tx, new_run(1, spec=spec, graph=GRAPH))


async def until(db: Database, reconciler: Reconciler, reached: Callable[[Run], bool]) -> Run:
    loop = asyncio.create_task(reconciler.run())
    try:
        async with asyncio.timeout(20):
            while True:
                async with db.read() as tx:
                    run = await repository.get(tx, "default", "run-1")
                if reached(run):
                    return run
                await asyncio.sleep(0.03)
    finally:
        loop.cancel()


async def doses(db: Database) -> list[Run]:
    async with db.read() as tx:
        runs, _ = await repository.list_page(tx, "default", size=50, token="")
    return sorted((run for run in runs if "doseOf" in run.spec), key=lambda run: run.run_id)


async def test_each_dose_is_a_run_that_shares_what_is_the_same_and_the_chosen_one_is_trained(db: Database) -> None:
    work, services = Work(), Services(recommended=2)
    await submit(db, spec_of({"rank": 4}, {"rank": 8}, {"rank": 16}))
    run = await until(db, replica(db, services, work), lambda r: r.phase.ended)
    assert (run.phase, run.message) == (Phase.SUCCEEDED, f"all {len(run.stages)} stages are done")
    children = await doses(db)
    assert [child.spec["training"]["sft"]["rank"] for child in children] == [4, 8, 16]
    first = children[0]
    assert [stage.stage for stage in first.stages] == [
        "plan", "base-model", "curate", "general", "preflight", "review-data", "sft", "merge", "evaluate",
    ]  # fmt: skip
    shared = {stage.stage for stage in first.stages if stage.reused}
    assert shared == {"base-model", "curate", "general", "preflight", "review-data"}
    assert "serving" not in first.spec
    assert "dpo" not in first.spec["training"]
    assert run.artifact("sft") == "sha256:rank-8"
    assert [d.evaluation for d in services.asked[0].doses] == [f"namespaces/default/jobs/evaluate-{n}" for n in "123"]
    shown = convert.run_to_proto(run).window
    assert shown.sentence.startswith("because; 3 doses took ")
    assert [dose.label for dose in shown.doses] == ["rank 4", "rank 8", "rank 16"]
    assert shown.doses[0].validation_loss == 1.0


def swept(*judged: Mapping[str, Any], recommended: int, reductions: int = 0, attempts: int = 3) -> Run:
    """A run whose sweep judged these doses, with every stage done; ranks are the numbers of the doses."""
    ranks = [{"rank": number} for number in range(1, len(judged) + 1)]
    spec = spec_of(*ranks)
    spec["evaluation"]["onRegression"] = {"reduceIntensity": True, "attempts": attempts}
    listed = [{"number": n, "label": f"rank {n}", **one} for n, one in enumerate(judged, 1)]
    details = {
        "chosen": ranks[recommended - 1],
        "window": {
            "comparison": {"doses": listed, "recommended": recommended},
            "doses": [{"number": n, "dose": dose} for n, dose in enumerate(ranks, 1)],
        },
    }
    stages = [
        Stage(s.stage, s.position, State.SUCCEEDED, attempt=1, details=details if s.stage == "sweep" else {})
        for s in stages_of(spec)
    ]
    return Run(**{**vars(new_run(1, spec=spec, graph=GRAPH)), "stages": tuple(stages), "reductions": reductions})


def regressed(run: Run) -> transitions.Change:
    verdict = next(stage for stage in run.stages if stage.stage == "verdict")
    error = Failure("NotReleased", "refusals fell")
    failed = Stage(
        "verdict", verdict.position, State.FAILED, "refusals fell", error=error, details={"onlyRegression": True}
    )
    return transitions.consequences(run, failed)


WINDOW = ({"intensity": 0.1}, {"intensity": 0.2, "out": "it loses"}, {"intensity": 0.3}, {"intensity": 0.5})


def test_a_regression_steps_down_the_window_and_halves_nothing() -> None:
    run = swept(*WINDOW, recommended=4)
    change = regressed(run)
    assert change.reductions == 1
    assert {s.reason for s in change.stages} == {
        "trained again with rank 3, the next gentler dose of the window, since refusals fell"
    }
    once = sweeps.effective(swept(*WINDOW, recommended=4, reductions=1))
    assert once.spec["training"]["sft"]["rank"] == 3
    assert once.spec["training"]["sft"]["learningRate"] == SFT["learningRate"]
    assert once.reductions == 0
    again = regressed(swept(*WINDOW, recommended=4, reductions=1))
    assert "with rank 1, the next gentler dose" in again.stages[0].reason
    assert sweeps.effective(swept(*WINDOW, recommended=4, reductions=2)).spec["training"]["sft"]["rank"] == 1


@pytest.mark.parametrize(
    ("judged", "recommended", "reductions", "attempts"),
    [
        (WINDOW, 1, 0, 3),  # nothing is gentler
        (WINDOW, 4, 2, 3),  # every step was taken
        (WINDOW, 4, 1, 1),  # no more attempts are allowed
        (({"intensity": 0.1, "out": "it was not scored"}, {"intensity": 0.3}), 2, 0, 3),
        (({}, {"intensity": 0.3}), 2, 0, 3),  # the other was never scored
        (({"intensity": 0.3}, {"intensity": 0.3}), 2, 0, 3),  # equals are no step down
    ],
)
def test_a_regression_ends_the_run_where_the_window_has_no_gentler_dose(
    judged: tuple[Mapping[str, Any], ...], recommended: int, reductions: int, attempts: int
) -> None:
    change = regressed(swept(*judged, recommended=recommended, reductions=reductions, attempts=attempts))
    assert [stage.stage for stage in change.stages] == ["verdict"]


async def test_doses_wait_for_each_other_unless_several_may_work_at_once(db: Database) -> None:
    await submit(db, spec_of({"rank": 4}, {"rank": 8}, {"rank": 16}))
    work = Work(hanging="1")
    run = await until(
        db, replica(db, Services(), work), lambda r: "at work" in (s.reason if (s := r.stage("sweep")) else "")
    )
    assert len(await doses(db)) == 1
    assert convert.run_to_proto(run).window.doses[0].phase == convert.run_to_proto(run).PENDING + 1


async def test_without_a_recommendation_the_run_ends_and_says_what_to_do(db: Database) -> None:
    await submit(db, spec_of({"rank": 4}, {"rank": 8}))
    run = await until(db, replica(db, Services(recommended=0), Work()), lambda r: r.phase.ended)
    assert run.phase is Phase.FAILED
    assert "leave the sweep out: its training is reused" in run.message
    assert convert.run_to_proto(run).window.comparison.sentence == "because"
    assert run.stage("sft").state is State.CANCELLED  # type: ignore[union-attr]


async def test_a_dose_that_fails_is_out_with_its_reason_and_the_others_go_on(db: Database) -> None:
    services = Services(recommended=2)
    await submit(db, spec_of({"rank": 4}, {"rank": 8}))
    run = await until(db, replica(db, services, Work(failing="1")), lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    assert services.asked[0].doses[0].stopped == "sft: out of memory"


async def test_a_diverged_dose_is_stopped_with_the_reason(db: Database) -> None:
    services = Services(recommended=1, losses={"2": [(0, 2.0), (10, 2.6), (20, 2.9)]})
    await submit(db, spec_of({"rank": 4}, {"rank": 8}))
    run = await until(db, replica(db, services, Work(hanging="2")), lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    stopped = (await doses(db))[1]
    assert stopped.phase is Phase.CANCELLED
    assert services.asked[0].doses[1].stopped.startswith("stopped early: its validation loss diverged: 2.9 after 20%")


async def test_a_dose_is_not_stopped_where_the_spec_says_no(db: Database) -> None:
    services = Services(losses={"1": [(0, 2.0), (10, 2.6), (20, 2.9)]})
    await submit(db, spec_of({"rank": 4}, {"rank": 8}, stopEarly=False))
    await until(db, replica(db, services, Work(hanging="1")), lambda r: "at work" in _reason(r))
    await asyncio.sleep(0.3)
    assert (await doses(db))[0].cancel_reason == ""


async def test_cancelling_the_run_stops_its_doses(db: Database) -> None:
    await submit(db, spec_of({"rank": 4}, {"rank": 8}))
    reconciler = replica(db, Services(), Work(hanging="1"))
    run = await until(db, reconciler, lambda r: "at work" in _reason(r))
    async with db.begin() as tx:
        await repository.request_cancel(tx, run, "too dear")
    await until(db, reconciler, lambda r: r.phase.ended)
    loop = asyncio.create_task(reconciler.run())
    async with asyncio.timeout(10):
        while not all(child.phase is Phase.CANCELLED for child in await doses(db)):
            await asyncio.sleep(0.03)
    loop.cancel()
    assert [child.cancel_reason for child in await doses(db)] == ["too dear"]


async def test_another_replica_finds_the_doses_that_the_first_began(db: Database) -> None:
    services = Services()
    await submit(db, spec_of({"rank": 4}, {"rank": 8}))
    await until(db, replica(db, services, Work(hanging="1")), lambda r: "at work" in _reason(r))
    services.away = 2
    run = await until(db, replica(db, services, Work()), lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    assert len(await doses(db)) == 2


async def test_doses_of_another_general_share_have_the_data_and_the_review_of_all(db: Database) -> None:
    work = Work()
    await submit(db, spec_of({"generalShare": 0.08}, {"generalShare": 0.2}))
    run = await until(db, replica(db, Services(recommended=2), work), lambda r: r.phase.ended)
    assert run.phase is Phase.SUCCEEDED
    for dose in await doses(db):
        assert {"curate", "general", "preflight", "review-data"} <= {s.stage for s in dose.stages if s.reused}
    started = [stage for _, stage in work.started]
    assert [started.count(stage) for stage in ("curate", "general", "review-data", "sft")] == [1, 1, 1, 3]
    order = [stage for name, stage in work.started if name == "run-1"]
    assert order.index("review-data") < order.index("sft")


def _reason(run: Run) -> str:
    sweep = run.stage("sweep")
    return sweep.reason if sweep else ""


# --- rules ---------------------------------------------------------------------------------------------------


def curve(*points: tuple[float, float]) -> Curve:
    return Curve(points)


FALLING = curve((0, 3.0), (0.25, 2.0), (0.5, 1.5), (0.75, 1.2), (1.0, 1.1))


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (curve((0, 3.0), (0.1, 3.4), (0.2, 3.5)), "diverged"),
        (curve((0, 3.0), (0.1, 2.0), (0.2, 3.5), (0.3, 4.0)), "diverged"),
        (curve((0, 3.0), (0.1, 3.4), (0.2, 2.5)), ""),  # one bad look may be an accident
        (curve((0, 3.0), (0.1, 3.5)), ""),
        (curve((0, 3.0), (0.1, 3.1), (0.2, 3.2)), ""),  # a warm-up that rises a little
        (curve((0, 3.0), (0.25, 2.9), (0.5, 2.6), (0.75, 2.4)), "dominated"),
        (curve((0, 3.0), (0.25, 2.9), (0.4, 2.6)), ""),  # too early to tell
        (curve((0, 3.0), (0.5, 1.55), (0.75, 1.25)), ""),  # hardly worse
        (curve((0, 3.0), (0.5, 2.6), (0.75, 1.2)), ""),
        (curve(), ""),
    ],
)
def test_what_is_stopped(own: Curve, reason: str) -> None:
    text = reason_to_stop(own, {"rank 4": FALLING})
    assert reason in text
    assert bool(text) == bool(reason)


def test_a_dose_is_not_held_against_one_that_has_not_come_as_far() -> None:
    own = curve((0, 3.0), (0.5, 2.6), (0.75, 2.4))
    assert reason_to_stop(own, {"rank 4": curve((0, 3.0), (0.5, 1.0))}) == ""


@pytest.mark.parametrize(
    ("changed", "gentler"),
    [
        ({"rank": 8}, True),
        ({"rank": 8, "learningRate": 1e-3}, False),
        ({"learningRate": 1e-4, "epochs": 1.0}, True),
        ({}, False),
        ({"targetModules": ["q_proj", "v_proj"]}, False),
    ],
)
def test_gentler_means_no_more_of_anything(changed: dict[str, Any], gentler: bool) -> None:
    full = {"curation": {}, "training": {"sft": SFT}}
    assert is_gentler({"curation": {}, "training": {"sft": {**SFT, **changed}}}, full) is gentler


def test_a_dose_named_after_a_long_run_has_a_name_that_kubernetes_takes() -> None:
    parent = new_run(1, spec=spec_of({"rank": 4}, {"rank": 8}), graph=GRAPH)
    long = Run(**{**vars(parent), "run_id": "a" * 41 + "-" + "b" * 21})
    child = sweeps.dose_run(long, 64, {"rank": 4}, at=datetime.now(UTC))
    assert len(child.run_id) <= 63
    assert "--" not in child.run_id
    assert child.uid == sweeps.dose_run(long, 64, {"rank": 4}, at=datetime.now(UTC)).uid
    assert stages_of(child.spec)[-1].stage == "evaluate"
