"""Jobs run in their team's namespace, and each is looked for where it was started."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from unit.jobs.test_attempts_as_kubernetes_jobs import launch

from posology.core.jobs.domain import Command, Resources
from posology.core.jobs.launchers.base import Handle, Launch, Observation
from posology.core.jobs.launchers.kubernetes import teams
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.jobs.launchers.kubernetes.teams import TeamLauncher


@dataclass
class Namespace:
    """A launcher of one namespace, by the names of its jobs."""

    pods: PodSettings
    service: str
    sessions: Any = None
    access: Any = None
    jobs: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    all: ClassVar[dict[str, "Namespace"]] = {}

    def __post_init__(self) -> None:
        Namespace.all[self.pods.namespace] = self

    async def launch(self, launch: Launch) -> Handle:
        self.jobs.add(launch.job)
        return {"name": launch.job, "uid": "u", "namespace": self.pods.namespace}

    async def find(self, job: str, attempt: int) -> Handle | None:
        return {"name": job, "uid": "u", "namespace": self.pods.namespace} if job in self.jobs else None

    async def observe(self, handle: Handle) -> Observation:
        self.calls.append("observe")
        return Observation(alive=handle["name"] in self.jobs)

    async def stop(self, handle: Handle) -> None:
        self.calls.append("stop")

    async def kill(self, handle: Handle) -> None:
        self.calls.append("kill")

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    Namespace.all = {}
    monkeypatch.setattr(teams, "KubernetesLauncher", Namespace)


def launcher(**changes: Any) -> TeamLauncher:
    places = {"image": "i", "namespace": "work", "teams": {"onco": "onco-models"}, "leftBehind": True}
    return TeamLauncher(PodSettings.model_validate(places | changes), service="training")


def of(team: str) -> Launch:
    return Launch(f"namespaces/{team}/trainingJobs/a", 1, {}, Command("posology.training.worker"), Resources())


async def test_a_job_starts_in_the_namespace_of_its_team() -> None:
    workers = launcher()
    assert (await workers.launch(of("onco")))["namespace"] == "onco-models"
    assert (await workers.launch(of("other")))["namespace"] == "work"
    assert (await launcher(namespace="", teams={}).launch(launch()))["namespace"] == ""


async def test_a_job_is_looked_for_where_its_handle_says_whatever_the_settings_are_now() -> None:
    handle = await launcher(teams={}).launch(of("onco"))
    workers = launcher()
    await workers.observe(handle)
    await workers.stop(handle)
    await workers.kill(handle)
    assert Namespace.all["work"].calls == ["observe", "stop", "kill"]


async def test_a_job_of_an_earlier_release_is_beside_the_services() -> None:
    before = {"name": "namespaces/onco/trainingJobs/a", "uid": "u"}
    await launcher().observe(before)
    assert Namespace.all[""].calls == ["observe"]
    await launcher(leftBehind=False).observe(before)
    assert Namespace.all["work"].calls == ["observe"]


async def test_a_job_whose_handle_was_lost_is_found_beside_the_services_too() -> None:
    workers = launcher()
    assert await workers.find(of("onco").job, 1) is None
    Namespace.all[""].jobs.add(of("onco").job)
    assert await workers.find(of("onco").job, 1) is not None
    assert await launcher(leftBehind=False).find(of("onco").job, 1) is None
