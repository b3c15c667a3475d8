"""Secrets meet addresses where an operator put them together; what a submitter writes reaches neither."""

from pathlib import Path
from typing import Any

import pytest
from support.curation_world import PARENT, World
from support.teacher_server import define_endpoint, teacher_server

from posology.core.errors import InvalidInput
from posology.core.model_endpoints.document import FOLDER
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1.job_pb2 import JobStatus
from posology.v1alpha1.model_endpoint_pb2 import ModelEndpoint

KEY = "sk-the-operators-key"


def endpoints(world: World) -> Path:
    return world.root / "data" / FOLDER


def keep_key(world: World, key: str = KEY, name: str = "teacher-key") -> None:
    folder = world.root / "data" / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(key)


@pytest.mark.parametrize(
    "teacher",
    [
        {"endpoint": "https://evil.example/v1", "model": "m", "credentialsSecret": "teacher-key"},
        {"endpoint": "https://evil.example/v1", "model": "m"},
        {"endpoint": "http://169.254.169.254/latest", "model": "m"},
        {"credentialsSecret": "teacher-key"},
        {"modelEndpoint": "teacher", "credentialsSecret": "other-key"},
        {"modelEndpoint": "teacher", "endpoint": "https://evil.example/v1"},
        {"endpoint": " ", "model": "m"},
    ],
)
@pytest.mark.parametrize("door", ["create", "check", "preferences"])
async def test_an_address_or_a_secret_in_a_spec_is_refused_with_how_to_define_one(
    world: World, teacher: dict[str, str], door: str
) -> None:
    define_endpoint(endpoints(world), "https://api.example.org/v1")
    asked = world.request("x", teacher=teacher)
    asked.validate_only = door == "check"
    spec = pb.PreferenceSetSpec(dataset="sha256:" + "0" * 64, preferences=pb.Preferences())
    spec.teacher.CopyFrom(asked.spec.curation.teacher)
    preferences = pb.CreatePreferenceSetRequest(parent=PARENT, preference_set_id="x", spec=spec)
    call: Any = world.curation.CreatePreferenceSet if door == "preferences" else world.curation.CreateDataset
    with pytest.raises(InvalidInput, match="posology endpoints add NAME") as refused:
        await call(preferences if door == "preferences" else asked)
    assert "modelEndpoint: NAME" in refused.value.message
    assert any("teacher" in violation.field for violation in refused.value.violations)


@pytest.mark.parametrize(
    ("teacher", "field", "reason"),
    [
        ({"modelEndpoint": "unknown"}, "modelEndpoint", "'unknown' is not defined; this namespace may use: teacher"),
        ({"modelEndpoint": "others"}, "modelEndpoint", "others is not for the namespace default"),
        ({"modelEndpoint": "broken"}, "modelEndpoint", "defined wrongly"),
        ({"modelEndpoint": "renamed"}, "modelEndpoint", "names teacher"),
        ({"modelEndpoint": "../secrets/teacher-key"}, "modelEndpoint", "does not match"),
        ({"modelEndpoint": "Teacher"}, "modelEndpoint", "does not match"),
        ({"modelEndpoint": "teacher", "model": "dearer"}, "model", "dearer is no model of teacher, which has a-model"),
        ({"modelEndpoint": "teacher", "judgeModel": "dearer"}, "judgeModel", "dearer is no model of teacher"),
        ({"model": "a-model"}, "teacher", "name that too"),
        ({"judgeModel": "a-model"}, "teacher", "name that too"),
    ],
)
async def test_what_a_namespace_may_not_use_is_said_at_submission(
    world: World, teacher: dict[str, str], field: str, reason: str
) -> None:
    folder = endpoints(world)
    define_endpoint(folder, "https://api.example.org/v1")
    define_endpoint(folder, "https://api.example.org/v1", name="others", namespaces=["team-a", "team-b"])
    (folder / "broken.yaml").write_text("spec: {address: 'https://u:sk-secret@h/v1'}")
    (folder / "renamed.yaml").write_text((folder / "teacher.yaml").read_text())
    request = world.request("x", teacher=teacher)
    request.validate_only = True
    with pytest.raises(InvalidInput, match=reason) as refused:
        await world.curation.CreateDataset(request)
    assert refused.value.violations[0].field.endswith(field)
    assert "sk-secret" not in refused.value.message
    assert "api.example.org" not in refused.value.message


async def test_a_run_is_taught_with_the_operators_key_and_shows_it_nowhere(world: World) -> None:
    keep_key(world)
    with teacher_server() as server:
        define_endpoint(endpoints(world), server.url, credentialsSecret="teacher-key", budget={"maxTokens": 100_000})
        made = await world.made("taught", pairs=20, validation=0, teacher={"modelEndpoint": "teacher"})
        assert made.spec.curation.teacher.model == "a-model"
        assert set(server.keys) == {f"Bearer {KEY}"}
        (listed,) = await listing(world)
        assert (listed.name, list(listed.models), listed.budget.max_tokens) == ("teacher", ["a-model"], 100_000)
        sent = sum(len(turn["content"]) // 4 for body in server.bodies for turn in body["messages"])
        assert 0.9 * sent < listed.prompt_tokens < 1.1 * sent
        assert listed.completion_tokens > 0
        assert server.url not in str(listed)
    secrets = world.root / "data" / "secrets"
    everything = [path for path in (world.root / "data").rglob("*") if path.is_file() and path.parent != secrets]
    assert len(everything) > 5
    assert not [path for path in everything if KEY.encode() in path.read_bytes()]


async def test_runs_together_use_no_more_than_the_budget(world: World) -> None:
    with teacher_server() as server:
        define_endpoint(endpoints(world), server.url, budget={"maxTokens": 3000})
        first = await world.finished((await world.create("first", pairs=40, teacher={"modelEndpoint": "teacher"})).name)
        assert first.status.state == JobStatus.FAILED
        assert "tokens are used by all runs together" in first.status.error.message
        calls = len(server.bodies)
        (listed,) = await listing(world)
        used = listed.prompt_tokens + listed.completion_tokens
        assert 3000 <= used < 3000 + 9 * 1000  # what was in flight
        with pytest.raises(InvalidInput, match="the budget of teacher is used up by all runs"):
            await world.create("second", pairs=40, teacher={"modelEndpoint": "teacher"})
        define_endpoint(endpoints(world), server.url, budget={"maxTokens": used + 1})
        third = await world.finished((await world.create("third", pairs=40, teacher={"modelEndpoint": "teacher"})).name)
        assert third.status.state == JobStatus.FAILED
        assert len(server.bodies) <= calls + 9


async def test_an_endpoint_that_was_removed_or_closed_to_a_namespace_ends_what_starts_after(world: World) -> None:
    define_endpoint(endpoints(world), "https://api.example.org/v1")
    spec = world.request("later", teacher={"modelEndpoint": "teacher"})
    spec.validate_only = True
    await world.curation.CreateDataset(spec)
    define_endpoint(endpoints(world), "https://api.example.org/v1", namespaces=["team-a"])
    with pytest.raises(InvalidInput, match="not for the namespace default"):
        await world.curation.CreateDataset(spec)
    assert await listing(world) == []


async def listing(world: World) -> list[ModelEndpoint]:
    answer = await world.curation.ListModelEndpoints(pb.ListModelEndpointsRequest(parent=PARENT))
    return list(answer.model_endpoints)
