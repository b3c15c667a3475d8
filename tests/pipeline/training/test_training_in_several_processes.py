"""Several GPUs of one node: torchrun, one stream, and the very losses of one process. Without GPUs it runs on gloo."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.protobuf.json_format import ParseDict
from support.training_bench import DPO, SFT, Bench
from support.training_world import PARENT, World
from support.training_world import world as open_world

from posology.v1alpha1 import job_pb2
from posology.v1alpha1 import training_pb2 as pb

pytestmark = pytest.mark.slow
PLAIN = {**{key: value for key, value in SFT.items() if key != "earlyStopping"}, "dropout": 0.0}
"""Dropout is drawn in each process by itself, so only without it the losses can be the same."""
CLOSE = 1e-5


@pytest.fixture
async def world(bench: Bench, tmp_path: Path) -> Any:
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(
            open_world(tmp_path, allowed_model_folders=(bench.root,), worker_cpus=2, workers=2)
        )
        yield found


def published(bench: Bench, world: World) -> tuple[str, str]:
    """Base model and data set."""
    base = world.publish(bench.root / "model-base", "base-model")
    return base, world.publish(bench.root / "dataset", "dataset")


async def created(world: World, name: str, spec: Mapping[str, Any], *, gpus: int) -> str:
    asked = ParseDict({**spec, "resources": {"gpus": gpus}}, pb.TrainingJobSpec())
    request = pb.CreateTrainingJobRequest(parent=PARENT, training_job_id=name, spec=asked)
    return (await world.training.CreateTrainingJob(request)).name


async def losses(world: World, name: str) -> dict[int, float]:
    """The loss of each step, as the one stream of the job told it."""
    found: dict[int, float] = {}
    async for event in world.training.WatchTrainingJob(job_pb2.WatchJobRequest(name=name)):
        if event.metric.values.get("loss"):
            found[event.metric.step] = event.metric.values["loss"]
    return found


def ranks_of(world: World, name: str) -> list[psutil.Process]:
    """The processes that train, first rank first."""
    spec = str(world.root / "jobs" / name.removeprefix("namespaces/").replace("/", "."))
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("POSOLOGY_WORKER_SPEC", "").startswith(spec) and "LOCAL_RANK" in environment:
            found.append((int(environment["LOCAL_RANK"]), process))
    return [process for _, process in sorted(found, key=lambda each: each[0])]


async def stepped(world: World, name: str, step: int) -> None:
    async with asyncio.timeout(120):
        async for event in world.training.WatchTrainingJob(job_pb2.WatchJobRequest(name=name)):
            if event.metric.step >= step and "loss" in event.metric.values:
                return


async def test_two_processes_train_as_one_does(bench: Bench, world: World) -> None:
    base, data = published(bench, world)
    sft = {"baseModel": base, "sft": {"dataset": data, "config": PLAIN}}
    names = [await created(world, "one", sft, gpus=0), await created(world, "two", sft, gpus=2)]
    one, two = [await losses(world, name) for name in names]
    done = [await world.over(name) for name in names]
    assert [job.status.state for job in done] == [job_pb2.JobStatus.SUCCEEDED] * 2, done[1].status
    assert one.keys() == two.keys()
    assert max(abs(one[step] - two[step]) for step in one) < CLOSE
    preferences = world.publish(bench.root / "preferences", "preferences")
    task = {"sft": done[1].status.artifact, "preferences": preferences, "config": {**DPO, "heldOut": 1 / 6}}
    names = [await created(world, f"dpo-{gpus}", {"baseModel": base, "dpo": task}, gpus=gpus) for gpus in (0, 2)]
    one, two = [await losses(world, name) for name in names]
    assert max(abs(one[step] - two[step]) for step in one) < CLOSE


async def test_stopped_and_killed_processes_end_together_and_go_on_with_the_same_losses(
    bench: Bench, world: World
) -> None:
    dropped = {**PLAIN, "dropout": 0.1}
    base, data = (
        world.publish(bench.root / "model-base", "base-model"),
        world.publish(bench.root / "dataset", "dataset"),
    )
    sft = {"baseModel": base, "sft": {"dataset": data, "config": {**dropped, "epochs": 6}}}
    whole = await losses(world, await created(world, "whole", sft, gpus=2))
    name = await created(world, "broken", sft, gpus=2)
    await stepped(world, name, 4)
    wrapper = ranks_of(world, name)[0].parent()
    assert wrapper is not None
    leader = wrapper.parent()
    assert leader is not None
    leader.send_signal(signal.SIGTERM)  # as the launcher does
    await stepped(world, name, 8)
    ranks_of(world, name)[1].kill()
    found = await losses(world, name)
    job = await world.over(name)
    assert job.status.state == job_pb2.JobStatus.SUCCEEDED, job.status
    assert job.status.attempt == 3
    assert found == pytest.approx(whole, abs=1e-12)
    async with asyncio.timeout(30):
        while ranks_of(world, name):
            await asyncio.sleep(0.2)


async def test_a_failure_of_any_process_is_told_in_its_words(bench: Bench, world: World, tmp_path: Path) -> None:
    base, data = (
        world.publish(bench.root / "model-base", "base-model"),
        world.publish(bench.root / "dataset", "dataset"),
    )
    short = {"baseModel": base, "sft": {"dataset": data, "config": {**PLAIN, "maxLength": 16}}}
    job = await world.over(await created(world, "short", short, gpus=2))
    assert (job.status.state, job.status.attempt) == (job_pb2.JobStatus.FAILED, 1)
    assert "longer than maxLength 16" in job.status.error.message
