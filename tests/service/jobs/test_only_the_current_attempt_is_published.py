"""Two attempts at once, as when a node is lost but its containers go on: one is published."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from support.job_installation import FAST, HERE, Installation, finished, named, until

from posology.core.jobs.domain import State
from posology.core.jobs.environment import SPEC_VARIABLE
from posology.core.jobs.launchers.base import Handle, Observation
from posology.core.jobs.launchers.local import LocalLauncher
from posology.v1alpha1 import worker_pb2, worker_pb2_grpc

NAME = "namespaces/test/evaluations/a"


class Unreachable(LocalLauncher):
    """Says of every silent worker that it is gone, and can't end it: a node that lost its network."""

    lost: set[str]

    async def kill(self, handle: Handle) -> None:
        self.lost = getattr(self, "lost", set()) | {handle["folder"]}

    async def observe(self, handle: Handle) -> Observation:
        if handle["folder"] in getattr(self, "lost", set()):
            return Observation(alive=False)
        return await super().observe(handle)


async def test_an_attempt_that_comes_back_late_is_refused_and_its_files_stay_unpublished(
    installation: Installation,
) -> None:
    installation.timing = replace(FAST, silence=3.0)
    installation.launcher = Unreachable(installation.root / "jobs", python=sys.executable)
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=20, pause=0.05))
        await until(lambda: len(installation.began(NAME)) == 1)
        late = installation.began(NAME)[0][2]
        os.kill(late, signal.SIGSTOP)
        await until(lambda: len(installation.began(NAME)) == 2)
        os.kill(late, signal.SIGCONT)  # now two attempts of one job run
        job = await finished(jobs, NAME)
        log = installation.root / "jobs/test.evaluations.a/1/worker.log"
        await until(lambda: '"exit_code": 3' in log.read_text(), within=15)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 2)
    assert job.summary["attempt"] == 2
    assert len(list(installation.store.list())) == 1


async def test_a_second_process_of_an_ended_attempt_does_no_work(installation: Installation) -> None:
    """As when a container of attempt 1 is restarted while attempt 2 is the current one."""
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=60, pause=0.05))
        await until(lambda: len(installation.began(NAME)) == 1)
        spec = installation.root / "jobs/test.evaluations.a/1/spec.json"
        kept = installation.root / "kept.json"
        kept.write_text(spec.read_text())
        os.kill(installation.began(NAME)[0][2], signal.SIGKILL)
        await until(lambda: len(installation.began(NAME)) == 2)
        code = await _worker(kept)
        job = await finished(jobs, NAME)
    assert code == 3
    assert [attempt for attempt, _, _ in installation.began(NAME)] == [1, 2]
    assert (job.state, job.attempt) == (State.SUCCEEDED, 2)


async def _worker(spec: Path) -> int:
    environment = {**os.environ, SPEC_VARIABLE: str(spec), "PYTHONPATH": str(HERE)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "micro_worker", env=environment)
    return await asyncio.wait_for(process.wait(), 20)


async def test_a_wrong_token_opens_nothing(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=200, pause=0.05))
        await until(lambda: len(installation.began(NAME)) == 1)
        told = json.loads((installation.root / "jobs/test.evaluations.a/1/spec.json").read_text())
        for hello in (
            worker_pb2.Hello(job=NAME, attempt=1, token="guess"),
            worker_pb2.Hello(job=NAME, attempt=2, token=told["token"]),
            worker_pb2.Hello(job=NAME + "x", attempt=1, token=told["token"]),
        ):
            assert await _code(told["service"], [worker_pb2.WorkerEvent(hello=hello)]) == "UNAUTHENTICATED"
        heartbeat = worker_pb2.WorkerEvent(heartbeat=worker_pb2.Heartbeat())
        assert await _code(told["service"], [heartbeat]) == "INVALID_ARGUMENT"
        await jobs.cancel(NAME)


async def _code(address: str, sent: list[worker_pb2.WorkerEvent]) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        call = worker_pb2_grpc.WorkerStub(channel).Attach(iter(sent))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
    return caught.value.code().name


async def test_the_token_is_in_no_table_and_no_log(installation: Installation) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=40, pause=0.05))
        await until(lambda: len(installation.began(NAME)) == 1)
        spec = installation.root / "jobs/test.evaluations.a/1/spec.json"
        assert spec.stat().st_mode & 0o777 == 0o600
        token = json.loads(spec.read_text())["token"].encode()
        await finished(jobs, NAME)
        await until(lambda: not spec.exists())
    found = [path for path in installation.root.rglob("*") if path.is_file() and token in path.read_bytes()]
    assert found == []
