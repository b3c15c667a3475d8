"""kill -9 of the worker at seeded random moments: the data set that comes out has the same digest."""

import asyncio
import random
import time

import psutil
from support.curation_world import World
from support.teacher_server import TeacherServer, define_endpoint, good, teacher_server

from posology.core.jobs.environment import SPEC_VARIABLE
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1.job_pb2 import JobStatus


async def test_a_data_set_is_the_same_after_its_worker_was_killed(world: World) -> None:
    more = {"pairs": 70, "deduplicate": {"minhash": 0.9, "semantic": 0}, "seed": 3}
    quiet = await world.made("quiet", **more)
    rng = random.Random(1)
    noisy = await world.create("noisy", **more)
    for _ in range(2):
        await _running(world, noisy.name)
        await asyncio.sleep(rng.uniform(0.1, 1.5))
        _kill_workers(world)
    killed = await world.finished(noisy.name)
    assert killed.status.state == JobStatus.SUCCEEDED, killed.status.error
    assert killed.status.artifact == quiet.status.artifact


async def test_a_killed_job_with_a_teacher_api_pays_for_no_section_twice(world: World) -> None:
    secrets = world.root / "data" / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "teacher-key").write_text("the-key")
    with teacher_server(lambda number, body: _slowly(number, body)) as server:
        define_endpoint(world.root / "data" / "model-endpoints", server.url, credentialsSecret="teacher-key")
        teacher = {"modelEndpoint": "teacher"}
        dataset = await world.create("taught", pairs=40, validation=0, teacher=teacher)
        await _asked(server, 20)
        _kill_workers(world)
        made = await world.finished(dataset.name)
        assert made.status.state == JobStatus.SUCCEEDED, made.status.error
        asked = [body["messages"][-1]["content"] for body in server.bodies]
        assert set(server.keys) == {"Bearer the-key"}
    assert len(asked) - len(set(asked)) <= 8  # only what was in flight when it was killed
    assert len(world.lines(made.status.artifact, "train.jsonl")) == 40


def _slowly(number: int, body: dict[str, object]) -> tuple[int, dict[str, str], object]:
    time.sleep(0.05)
    return good(number, body)


async def _asked(server: TeacherServer, times: int) -> None:
    async with asyncio.timeout(60):
        while len(server.bodies) < times:
            await asyncio.sleep(0.02)


async def _running(world: World, name: str) -> None:
    while True:
        found = await world.curation.GetDataset(pb.GetDatasetRequest(name=name))
        if found.status.state != JobStatus.PENDING and _workers(world):
            return
        await asyncio.sleep(0.05)


def _workers(world: World) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(SPEC_VARIABLE, "").startswith(str(world.root)):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _kill_workers(world: World) -> None:
    for process in _workers(world):
        process.kill()
