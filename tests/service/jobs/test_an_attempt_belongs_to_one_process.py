"""Two processes with the token of one attempt, as when a pod is replaced: the second one is refused."""

import asyncio
import os
import subprocess
import sys

from support.job_installation import HERE, Installation, finished, named, until

from posology.core.jobs.domain import State
from posology.core.jobs.environment import SPEC_VARIABLE

NAME = "namespaces/test/evaluations/a"


async def test_a_second_process_of_an_attempt_is_refused_and_the_next_attempt_goes_on(
    installation: Installation,
) -> None:
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=30, pause=0.1))
        await until(lambda: len(installation.began(NAME)) == 1)
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "micro_worker",
            env={**os.environ, "PYTHONPATH": str(HERE), SPEC_VARIABLE: str(_spec(installation))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert await asyncio.wait_for(second.wait(), 30) == 3
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures) == (State.SUCCEEDED, 2, 0)
    (first, begin), (again, resumed) = [(attempt, step) for attempt, step, _ in installation.began(NAME)]
    assert (first, begin, again) == (1, 0, 2)
    assert resumed > 0


def _spec(installation: Installation) -> str:
    return str(installation.root / "jobs" / "test.evaluations.a" / "1" / "spec.json")
