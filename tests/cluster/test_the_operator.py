"""What is applied is submitted, and every run, whatever its door, tells as a resource where it stands."""

import pytest
from cluster.operator_world import World, condition, is_true
from support.clusters import RUNS, resource

from posology.client.specfile import parse_run
from posology.core.errors import InvalidInput, NotFound
from posology.v1alpha1 import orchestrator_pb2 as pb

pytestmark = pytest.mark.cluster


async def test_an_applied_run_runs_to_its_end_and_describe_tells_the_story(running: World) -> None:
    await running.apply("story")
    status = (await running.until("story", is_true("Succeeded")))["status"]
    assert status["phase"] == "Succeeded"
    assert status["stage"] == "verdict"
    assert status["observedGeneration"] == 1
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [
        ("Accepted", "True"), ("Admitted", "True"), ("Running", "False"), ("ReviewPending", "False"),
        ("Succeeded", "True"), ("Failed", "False"),
        ("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False"),
    ]  # fmt: skip
    assert [s["stage"] for s in status["stages"]][:3] == ["plan", "base-model", "curate"]
    assert status["links"].keys() == {"dataset", "adapter", "model", "evaluation", "verdict"}
    told = await running.events("story")
    assert ("StageSucceeded", "curate: done") in told
    assert ("RunSucceeded", "all 8 stages are done") in told
    assert len(told) == len(set(told))
    assert (await running.read("story"))["spec"] == resource("story")["spec"], "a resource stays as it was applied"


async def test_a_run_that_waits_for_experts_says_so(running: World) -> None:
    running.driver.pause_at.add("review-data")
    curation = {**resource("x")["spec"]["curation"], "review": {"sample": 20}}
    await running.apply("reviewed", curation=curation)
    status = (await running.until("reviewed", is_true("ReviewPending")))["status"]
    assert (status["phase"], status["stage"]) == ("ReviewPending", "review-data")
    assert "waits for 2 experts" in status["message"]
    await running.experts_are_done("reviewed")
    await running.until("reviewed", is_true("Succeeded"))


async def test_a_run_of_another_door_is_a_resource_too(running: World) -> None:
    running.driver.hold.add("sft")
    async with running.stub() as door:
        request = parse_run(resource("by-grpc")).request(namespace=running.namespace)
        request.labels["team"] = "a"
        made = await door.CreateRun(request)
        found = await running.until("by-grpc", is_true("Running"))
        assert found["status"]["uid"] == made.uid
        assert found["metadata"]["labels"] == {"team": "a"}
        assert found["spec"]["training"]["sft"]["rank"] == 16, "it shows every default"
        await running.change("by-grpc", cancel=True)
        await running.until("by-grpc", lambda s: s.get("phase") == "Cancelled")
    await running.until_run("by-grpc", pb.FineTuneRun.CANCELLED)


async def test_a_wrong_spec_becomes_a_condition_in_the_cli_s_words(running: World) -> None:
    changes = {"curation": {"sources": [{"uri": "file:/forbidden", "format": "SPL"}]}}
    said = "spec.curation.sources[0].uri: is not in the allowed folders"
    await running.apply("wrong", **changes)
    status = (await running.until("wrong", lambda s: bool(condition(s, "Accepted"))))["status"]
    accepted = condition(status, "Accepted")
    assert (accepted["status"], accepted["reason"], accepted["message"]) == ("False", "InvalidSpec", said)
    assert status["phase"] == "Invalid"
    assert await running.events("wrong") == [("InvalidSpec", said)]
    async with running.stub() as door:
        with pytest.raises(InvalidInput, match="not in the allowed folders") as refused:
            await door.CreateRun(parse_run(resource("wrong", **changes)).request(namespace=running.namespace))
        assert refused.value.message == said
    await running.kube.delete(RUNS, running.namespace, "wrong")
    await running.until_gone("wrong")


async def test_a_name_that_another_door_took_is_refused(installation: World) -> None:
    async with installation.orchestrator(), installation.stub() as door:
        await door.CreateRun(parse_run(resource("taken")).request(namespace=installation.namespace))
        await installation.apply("taken")  # before an operator could show the run
        async with installation.operator():
            status = (await installation.until("taken", lambda s: bool(condition(s, "Accepted"))))["status"]
            assert condition(status, "Accepted")["reason"] == "NameTaken"
            await installation.kube.delete(RUNS, installation.namespace, "taken")
            await installation.until_gone("taken")
        run = await installation.run("taken")
        assert run.phase != pb.FineTuneRun.CANCELLED, "somebody else's run is left alone"


async def test_a_suspended_run_is_checked_and_submitted_when_it_is_let_go(running: World) -> None:
    await running.apply("held", suspend=True)
    status = (await running.until("held", is_true("Accepted")))["status"]
    assert (status["phase"], condition(status, "Admitted")["reason"]) == ("Suspended", "Suspended")
    with pytest.raises(NotFound):
        await running.run("held")
    await running.change("held", suspend=False)
    await running.until("held", is_true("Succeeded"))


async def test_deletion_cancels_a_run_and_it_does_not_come_back(running: World) -> None:
    running.driver.hold.add("sft")
    await running.apply("doomed")
    await running.until("doomed", is_true("Running"))
    await running.kube.delete(RUNS, running.namespace, "doomed")
    await running.until_gone("doomed")
    await running.apply("later")
    await running.until("later", is_true("Running"))
    with pytest.raises(NotFound):
        await running.read("doomed")
    await running.until_run("doomed", pb.FineTuneRun.CANCELLED)


async def test_a_run_that_ended_outlives_its_resource(running: World) -> None:
    await running.apply("done")
    await running.until("done", is_true("Succeeded"))
    await running.kube.delete(RUNS, running.namespace, "done")
    await running.until_gone("done")
    assert (await running.run("done")).phase == pb.FineTuneRun.SUCCEEDED


async def test_it_runs_as_a_user_without_a_name_as_pods_do(
    installation: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr("getpass.getuser", nobody)
    async with installation.orchestrator(), installation.operator():
        await installation.apply("nameless")
        await installation.until("nameless", is_true("Succeeded"))


async def test_what_a_worker_waits_for_and_what_its_queue_decided_is_told_by_describe(running: World) -> None:
    running.driver.hold = {"sft"}
    running.driver.says = "attempt 1 waits for a node with enough nvidia.com/gpu (asks for 8)"
    running.driver.queue_state = "QUEUED"
    await running.apply("a-run", training={"resources": {"gpus": 8, "queue": "team-a"}})
    found = await running.until("a-run", lambda status: status.get("queue") == "team-a: Queued", seconds=30)
    assert found["status"]["message"] == f"sft: {running.driver.says}"
    running.driver.says, running.driver.queue_state = "attempt 1 had to give its place back", "PREEMPTED"
    await running.until("a-run", lambda status: status.get("queue") == "team-a: Preempted", seconds=30)
    running.driver.hold = set()
    found = await running.until("a-run", is_true("Succeeded"))
    assert found["status"]["queue"] == "team-a"
    told = [(reason, said) for reason, said in await running.events("a-run") if reason.startswith("Queue")]
    assert sorted(told, reverse=True) == [
        ("QueueQueued", "sft: attempt 1 waits for a node with enough nvidia.com/gpu (asks for 8)"),
        ("QueuePreempted", "sft: attempt 1 had to give its place back"),
    ]
