"""The share of general rows is training's to mix: another one finds the data set and its review as they were.

Curation, its worker and the orchestrator's stages are real; what comes after the review is not needed here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from service.orchestrator.noop import Noop, new_run
from support import curation_world
from support.curation_world import World

from posology.core.store import Database
from posology.orchestrator import repository
from posology.orchestrator.domain import Observation, Run, Stage, State
from posology.orchestrator.graph import GRAPH, stages_of
from posology.orchestrator.reconciler import Reconciler
from posology.orchestrator.stages.curate import Corrections, Curate
from posology.orchestrator.stages.general import General
from posology.orchestrator.stages.preflight import Preflight
from posology.orchestrator.stages.review import ReviewData
from posology.orchestrator.stages.train import Sft
from posology.v1alpha1 import curation_pb2 as pb


class Recorded(Noop):
    """A stage whose job is the real one's, and which succeeds at once."""

    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.stage, self.jobs = stage, dict[str, Mapping[str, Any]]()

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        self.jobs[run.run_id] = await self.stage.inputs(run)
        return self.jobs[run.run_id]

    async def start(self, run: Run, stage: Stage) -> Observation:
        return Observation(State.SUCCEEDED, "done", artifact=f"sha256:{stage.stage}-{run.run_id}", resource=run.run_id)


class Bench:
    """A replica over a real curation."""

    def __init__(self, db: Database, world: World) -> None:
        clients: Any = SimpleNamespace(curation=world.curation, training=None, evaluation=None, catalog=None)
        self.sft, self.preflight = Recorded(Sft(clients)), Recorded(Preflight(clients))
        drivers: dict[str, Any] = {node.stage: Noop() for node in GRAPH}
        real: dict[str, Any] = {
            "corrections": Corrections(clients),
            "curate": Curate(clients),
            "general": General(clients),
            "review-data": ReviewData(clients),
        }
        self.reconciler = Reconciler(
            db, drivers | real | {"sft": self.sft, "preflight": self.preflight}, poll_seconds=0.02
        )
        self.db, self.world = db, world

    def spec(self, share: float | None, file: str = "general.jsonl") -> dict[str, Any]:
        curation: dict[str, Any] = {
            "sources": [{"uri": f"file://{self.world.root}/sources", "format": "SPL"}],
            "pairs": 60,
            "validation": 10,
            "seed": 0,
            "deduplicate": {"minhash": 0, "semantic": 0},
            "filters": {"minWords": 4},
            "review": {"sample": 20, "maxErrorRate": 0.25, "confidence": 0.95, "reviewers": 1},
        }
        if share is not None:
            curation["general"] = {"uri": f"file://{self.world.root}/sources/general/{file}", "share": share}
        training = {"sft": {"method": "LORA", "learningRate": 1e-4, "epochs": 1.0}, "resources": {"gpus": 0}}
        evaluation = {"suites": [], "confidence": 0.95}
        return {
            "curation": curation, "training": training, "evaluation": evaluation, "startTraining": "AFTER_REVIEW",
        }  # fmt: skip

    async def submit(self, number: int, spec: Mapping[str, Any], *, without: str = "") -> Run:
        run = new_run(number, spec=spec, graph=GRAPH)
        run = replace(run, stages=tuple(stage for stage in stages_of(spec) if stage.stage != without))
        async with self.db.begin() as tx:
            return await repository.create(tx, run)

    async def until(self, number: int, reached: Callable[[Run], bool]) -> Run:
        async with asyncio.timeout(90):
            while True:
                async with self.db.read() as tx:
                    run = await repository.get(tx, "default", f"run-{number}")
                if reached(run):
                    return run
                assert run.phase.value != "FAILED", run.message
                await asyncio.sleep(0.05)

    async def reviewed(self, number: int) -> Run:
        """The run at its end, with its review passed if one was opened."""
        run = await self.until(number, lambda r: r.phase.ended or _state(r, "review-data") is State.PAUSED)
        if not run.phase.ended:
            review = run.stage("review-data").resource  # type: ignore[union-attr]
            await self.world.rate_all(review)
            await self.world.closed(review)
            async with self.db.begin() as tx:
                await repository.wake(tx, [run.uid])
            self.reconciler.wake.notify()
        return await self.until(number, lambda r: r.phase.ended)

    async def reviews(self) -> int:
        return len((await self.world.curation.ListReviews(pb.ListReviewsRequest(parent="namespaces/default"))).reviews)


def _state(run: Run, stage: str) -> State | None:
    found = run.stage(stage)
    return found.state if found else None


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        world = await curation_world.serve(tmp_path, monkeypatch, stack)
        folder = tmp_path / "sources" / "general"
        folder.mkdir()
        for name, topic in (("general.jsonl", "topic"), ("other.jsonl", "theme")):
            lines = [
                {
                    "prompt": f"Tell me about {topic} {n}.",
                    "completion": f"It is the {topic} with number {n}, my friend.",
                }
                for n in range(40)
            ]
            (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        db = Database(f"sqlite+aiosqlite:///{tmp_path}/orchestrator.db", schema="service")
        stack.push_async_callback(db.close)
        await db.migrate("posology.core.audit", "posology.orchestrator")
        made = Bench(db, world)
        loop = asyncio.create_task(made.reconciler.run())
        yield made
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def test_another_share_another_file_and_none_find_the_data_set_and_its_review_as_they_were(bench: Bench) -> None:
    await bench.submit(1, bench.spec(0.08))
    first = await bench.reviewed(1)
    assert not any(stage.reused for stage in first.stages)
    rows = bench.world.lines(first.artifact("review-data"), "train.jsonl")
    assert not any("general" in row["tags"] for row in rows)
    assert len(bench.world.lines(first.artifact("general"), "general.jsonl")) == 40
    job = bench.sft.jobs["run-1"]["sft"]
    assert job["dataset"] == first.artifact("review-data")
    assert (job["general"], job["generalShare"]) == (first.artifact("general"), 0.08)

    others = {2: bench.spec(0.2), 3: bench.spec(0.0), 4: bench.spec(None), 5: bench.spec(0.08, "other.jsonl")}
    for number, spec in others.items():
        await bench.submit(number, spec)
        run = await bench.reviewed(number)
        assert {"curate", "review-data"} <= {stage.stage for stage in run.stages if stage.reused}, number
        assert run.artifact("review-data") == first.artifact("review-data")
    assert await bench.reviews() == 1
    assert bench.sft.jobs["run-2"]["sft"] == {**job, "generalShare": 0.2}
    assert "general" not in bench.sft.jobs["run-4"]["sft"]
    assert bench.sft.jobs["run-5"]["sft"]["general"] != job["general"]


async def test_corrections_are_a_version_of_the_data_set_that_another_run_reviews_in_what_changed(bench: Bench) -> None:
    await bench.submit(1, bench.spec(None))
    first = await bench.reviewed(1)
    row = bench.world.lines(first.artifact("curate"), "train.jsonl")[0]
    file = bench.world.root / "sources" / "general" / "corrections.jsonl"
    file.write_text(json.dumps({"pair": row["id"], "answer": "Ask a pharmacist."}) + "\n")
    spec = bench.spec(0.08)
    spec["curation"]["corrections"] = f"file://{file}"
    await bench.submit(2, spec)
    second = await bench.reviewed(2)
    assert second.stage("curate").reused  # type: ignore[union-attr]
    rows = bench.world.lines(second.artifact("review-data"), "train.jsonl")
    assert [r["completion"][0]["content"] for r in rows if "corrected" in r["tags"]] == ["Ask a pharmacist."]
    assert bench.preflight.jobs["run-2"]["preflight"]["dataset"] == second.artifact("corrections")
    assert bench.sft.jobs["run-2"]["sft"]["dataset"] == second.artifact("review-data")
    review = pb.GetReviewRequest(name=second.stage("review-data").resource)  # type: ignore[union-attr]
    assert (await bench.world.curation.GetReview(review)).summary.planned == 1


async def test_a_run_from_before_general_sets_goes_on_with_general_rows_in_its_data_set(bench: Bench) -> None:
    await bench.submit(1, bench.spec(0.2), without="general")
    run = await bench.reviewed(1)
    rows = bench.world.lines(run.artifact("review-data"), "train.jsonl")
    assert sum("general" in row["tags"] for row in rows) == round(
        0.25 * sum("general" not in row["tags"] for row in rows)
    )
    assert bench.sft.jobs["run-1"]["sft"].keys() == {"dataset", "config"}
    assert "general" not in bench.preflight.jobs["run-1"]["preflight"]
