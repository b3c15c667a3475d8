"""Engines run in their team's namespace; those that an earlier release left beside the services move without a gap."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
from unit.serving.test_engines_as_pods import GIVEN, LAUNCH

from posology.serving.domain import ReplicaState, Status
from posology.serving.kubernetes import teams
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.kubernetes.teams import TeamLauncher
from posology.serving.launcher import Launch


@dataclass
class Namespace:
    """A launcher of one namespace, by the states of its engines."""

    pods: EnginePods
    renderer: Any
    access: Any = None
    engines: dict[str, ReplicaState] = field(default_factory=dict)
    all: ClassVar[dict[str, "Namespace"]] = {}

    def __post_init__(self) -> None:
        Namespace.all[self.pods.namespace] = self

    async def start(self, launch: Launch) -> None:
        self.engines.setdefault(launch.replica, ReplicaState.STARTING)

    async def observe(self, replica: str) -> Status | None:
        state = self.engines.get(replica)
        return None if state is None else Status(state, "", f"http://{self.pods.namespace or 'own'}")

    async def alive(self, replica: str) -> bool:
        return self.engines.get(replica) not in (None, ReplicaState.STOPPED)

    async def stop(self, replica: str) -> None:
        if replica in self.engines:
            self.engines[replica] = ReplicaState.STOPPED

    async def kill(self, replica: str) -> None:
        self.engines.pop(replica, None)

    async def forget(self, replica: str) -> None:
        self.engines.pop(replica, None)

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    Namespace.all = {}
    monkeypatch.setattr(teams, "KubernetesLauncher", Namespace)


def launcher(**changes: Any) -> TeamLauncher:
    places = {"namespace": "work", "teams": {"team-a": "a-models"}, "leftBehind": True}
    renderer: Any = None
    return TeamLauncher(EnginePods.model_validate(GIVEN | places | changes), renderer)


def where(replica: str = LAUNCH.replica) -> set[str]:
    return {name for name, namespace in Namespace.all.items() if replica in namespace.engines}


async def test_an_engine_starts_in_the_namespace_of_its_team() -> None:
    engines = launcher()
    await engines.start(LAUNCH)
    assert where() == {"a-models"}
    other = replace(LAUNCH, replica="team-b.x.0", deployment="namespaces/team-b/deployments/x")
    await engines.start(other)
    assert where(other.replica) == {"work"}


async def test_one_left_behind_answers_until_its_successor_does_and_is_drained_then() -> None:
    engines = launcher()
    Namespace.all[""].engines[LAUNCH.replica] = ReplicaState.READY
    await engines.start(LAUNCH)  # as a restarted service adopts what runs
    assert where() == {"", "a-models"}
    status = await engines.observe(LAUNCH.replica)
    assert status is not None
    assert (status.state, status.url) == (ReplicaState.READY, "http://own")
    Namespace.all["a-models"].engines[LAUNCH.replica] = ReplicaState.READY
    status = await engines.observe(LAUNCH.replica)
    assert status is not None
    assert status.url == "http://a-models"
    assert Namespace.all[""].engines[LAUNCH.replica] is ReplicaState.STOPPED
    await engines.observe(LAUNCH.replica)
    assert where() == {"a-models"}


async def test_one_left_behind_keeps_answering_where_its_successor_can_not_start() -> None:
    engines = launcher()
    Namespace.all[""].engines[LAUNCH.replica] = ReplicaState.READY
    await engines.start(LAUNCH)
    Namespace.all["a-models"].engines[LAUNCH.replica] = ReplicaState.FAILED
    status = await engines.observe(LAUNCH.replica)
    assert status is not None
    assert status.state is ReplicaState.READY


async def test_one_left_behind_makes_room_first_where_there_are_no_gpus_for_two() -> None:
    engines = launcher(surge=False)
    Namespace.all[""].engines[LAUNCH.replica] = ReplicaState.READY
    await engines.start(LAUNCH)
    assert Namespace.all[""].engines[LAUNCH.replica] is ReplicaState.STOPPED


async def test_one_left_behind_ends_with_its_replica() -> None:
    for end in ("stop", "kill", "forget"):
        engines = launcher()
        Namespace.all[""].engines[LAUNCH.replica] = ReplicaState.READY
        await getattr(engines, end)(LAUNCH.replica)
        assert Namespace.all[""].engines.get(LAUNCH.replica) in (None, ReplicaState.STOPPED)


async def test_an_engine_stays_where_it_runs_when_its_team_gets_another_namespace() -> None:
    engines = launcher()
    Namespace.all["work"].engines[LAUNCH.replica] = ReplicaState.READY
    await engines.start(LAUNCH)
    assert where() == {"work"}


async def test_without_namespaces_of_work_all_is_where_the_service_is() -> None:
    engines = launcher(namespace="", teams={}, leftBehind=False)
    await engines.start(LAUNCH)
    assert where() == {""}
    assert await engines.alive(LAUNCH.replica)
