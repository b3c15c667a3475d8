"""An API server that does not answer for a while is no failure of the jobs that wait for it."""

import sys
from dataclasses import replace

from support.job_installation import FAST, Installation, finished, named

from posology.core.jobs.domain import State
from posology.core.jobs.launchers.base import Handle, Launch, LauncherUnavailable
from posology.core.jobs.launchers.local import LocalLauncher

NAME = "namespaces/test/evaluations/a"


class Flaky(LocalLauncher):
    """Does not answer the first calls; of one of them it does the work all the same."""

    calls = 0

    async def launch(self, launch: Launch) -> Handle:
        self.calls += 1
        if self.calls == 2:
            await super().launch(launch)
        if self.calls <= 2:
            raise LauncherUnavailable("the API server does not answer")
        return await super().launch(launch)


async def test_an_outage_is_no_failure_and_what_was_started_meanwhile_is_found(installation: Installation) -> None:
    installation.timing = replace(FAST, launching=0.5)
    installation.launcher = launcher = Flaky(installation.root / "jobs", python=sys.executable)
    async with installation.serving() as jobs:
        await jobs.create(named("a", steps=20, pause=0.1))
        job = await finished(jobs, NAME)
    assert (job.state, job.attempt, job.failures, launcher.calls) == (State.SUCCEEDED, 2, 0, 2)
