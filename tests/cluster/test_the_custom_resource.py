"""The API server refuses what the contract refuses, in the contract's words, before any operator sees it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.clusters import RUNS, resource
from support.servers import REPOSITORY

from posology.core.errors import InvalidInput
from posology.core.kube import Kube

pytestmark = pytest.mark.cluster

SPECS = sorted(
    path for path in (REPOSITORY / "examples").glob("*.yaml") if "kind: FineTuneRun" in path.read_text()
)  # fmt: skip


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
async def test_a_shipped_run_is_accepted_as_it_is(kube: Kube, namespace: str, path: Path) -> None:
    document = _absolute(path)
    made = await kube.create(RUNS, namespace, document)
    assert made["spec"].keys() == document["spec"].keys()


async def test_defaults_are_told_and_not_written(kube: Kube, namespace: str) -> None:
    made = await kube.create(RUNS, namespace, resource("plain"))
    assert made["spec"] == resource("plain")["spec"]


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"baseModel": {"uri": "hf://org/model"}}, "spec.baseModel", "needs its revision"),
        ({"baseModel": {"uri": "ftp://x"}}, "spec.baseModel", "uri must start with hf://"),
        ({"curation": {"sources": []}}, "spec.curation.sources", "at least 1 items"),
        ({"curation": {"sources": [{"uri": "file:/x", "format": "WORD"}]}}, "spec.curation.sources[0].format", "SPL"),
        (
            {"curation": {"sources": [{"uri": "file:/x", "format": "SPL"}], "teacher": {"endpoint": "https://t"}}},
            "spec.curation.teacher",
            "an operator defines the address and its secret once",
        ),
        ({"evaluation": {"gates": [{"suite": "mcq"}]}}, "spec.evaluation.gates[0]", "must state what is demanded"),
        ({"training": {"sft": {"rank": 0}}}, "spec.training.sft.rank", "greater than or equal to 1"),
        ({"training": {"sft": {"epochs": 0}}}, "spec.training.sft.epochs", "greater than 0"),
        ({"training": {"dpo": {}}}, "spec", "training.dpo needs curation.preferences"),
        ({"evaluation": None}, "spec.evaluation", "Required"),
        ({"startTraining": "SOON"}, "spec.startTraining", "AFTER_REVIEW"),
    ],
)
async def test_a_wrong_spec_is_refused_with_its_field(
    kube: Kube, namespace: str, changes: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await kube.create(RUNS, namespace, resource("wrong", **changes))
    assert any(v.field == field and said in v.description for v in refused.value.violations), refused.value


async def test_the_judge_must_not_be_the_teacher(kube: Kube, namespace: str) -> None:
    model = {"modelEndpoint": "api", "model": "same"}
    curation = {**resource("x")["spec"]["curation"], "teacher": model}
    evaluation = {**resource("x")["spec"]["evaluation"], "judge": model}
    with pytest.raises(InvalidInput, match="must not be the model that teaches"):
        await kube.create(RUNS, namespace, resource("judged", curation=curation, evaluation=evaluation))
    evaluation["judge"] = {**model, "model": "other"}
    await kube.create(RUNS, namespace, resource("judged", curation=curation, evaluation=evaluation))


async def test_load_may_ask_for_no_fewer_engines_than_there_are(kube: Kube, namespace: str) -> None:
    for autoscaling, said in (({"maxReplicas": 2}, "at least replicas"), ({"targetQueue": 5}, "maxReplicas")):
        with pytest.raises(InvalidInput, match=said):
            await kube.create(RUNS, namespace, resource("busy", serving={"replicas": 3, "autoscaling": autoscaling}))
    await kube.create(RUNS, namespace, resource("busy", serving={"replicas": 3, "autoscaling": {"maxReplicas": 3}}))
    await kube.create(RUNS, namespace, resource("one", serving={"autoscaling": {"maxReplicas": 1}}))


async def test_what_serves_on_gpus_is_evaluated_on_gpus(kube: Kube, namespace: str) -> None:
    with pytest.raises(InvalidInput, match=r"serving\.gpus needs evaluation\.resources\.gpus"):
        await kube.create(RUNS, namespace, resource("served", serving={"gpus": 1}))
    evaluation = {**resource("x")["spec"]["evaluation"], "resources": {"gpus": 1}}
    await kube.create(RUNS, namespace, resource("served", serving={"gpus": 1}, evaluation=evaluation))


@pytest.mark.parametrize(
    "change",
    [
        {"curation": {"pairs": 31}},
        {"training": {"sft": {"rank": 8}}},
        {"evaluation": {"confidence": 0.9}},
        {"serving": {"replicas": 2}},
        {"startTraining": "IMMEDIATELY"},
    ],
)
async def test_a_spec_never_changes(kube: Kube, namespace: str, change: dict[str, Any]) -> None:
    await kube.create(RUNS, namespace, resource("fixed"))
    with pytest.raises(InvalidInput) as refused:
        await kube.merge(RUNS, namespace, "fixed", {"spec": change})
    (key,) = change
    assert [(v.field, "submit a new run" in v.description) for v in refused.value.violations] == [(f"spec.{key}", True)]


async def test_nothing_that_was_written_can_be_taken_out(kube: Kube, namespace: str) -> None:
    await kube.create(RUNS, namespace, resource("fixed", training={"sft": {"rank": 8}}))
    with pytest.raises(InvalidInput, match=r"spec\.training"):
        await kube.merge(RUNS, namespace, "fixed", {"spec": {"training": None}})


async def test_cancel_is_one_way(kube: Kube, namespace: str) -> None:
    await kube.create(RUNS, namespace, resource("stopping"))
    await kube.merge(RUNS, namespace, "stopping", {"spec": {"cancel": False}})
    await kube.merge(RUNS, namespace, "stopping", {"spec": {"cancel": True}})
    for back in (False, None):
        with pytest.raises(InvalidInput, match="a cancelled run stays cancelled"):
            await kube.merge(RUNS, namespace, "stopping", {"spec": {"cancel": back}})


async def test_suspend_ends_and_never_begins(kube: Kube, namespace: str) -> None:
    await kube.create(RUNS, namespace, resource("held", suspend=True))
    await kube.merge(RUNS, namespace, "held", {"spec": {"suspend": False}})
    with pytest.raises(InvalidInput, match="can't be suspended again"):
        await kube.merge(RUNS, namespace, "held", {"spec": {"suspend": True}})


@pytest.mark.parametrize("name", ["1st", "a.b", "x" * 64])
async def test_a_name_that_no_run_can_have_is_refused(kube: Kube, namespace: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"metadata\.name"):
        await kube.create(RUNS, namespace, resource(name))


async def test_only_the_status_part_takes_a_status(kube: Kube, namespace: str) -> None:
    made = await kube.create(RUNS, namespace, {**resource("told"), "status": {"phase": "Succeeded"}})
    assert "status" not in made
    conditions = [
        {
            "type": "Accepted",
            "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "reason": "x",
            "message": "",
        }
    ]
    told = await kube.merge(RUNS, namespace, "told", {"status": {"conditions": conditions}}, part="status")
    assert told["status"]["conditions"] == conditions
    assert told["metadata"]["generation"] == 1


def _absolute(path: Path) -> dict[str, Any]:
    """A shipped spec as one would write it for a cluster: parameters filled, places not beside the file."""
    text = (
        path.read_text().replace("${", "file:/${").replace("uri: ./", "uri: file:/").replace("uri: ../", "uri: file:/")
    )
    found: dict[str, Any] = yaml.safe_load(text)
    return found


async def test_kubectl_get_shows_phase_stage_queue_verdict_and_age(kube: Kube, namespace: str) -> None:
    await kube.create(RUNS, namespace, resource("shown"))
    status = {"phase": "Running", "stage": "sft", "queue": "team-a: Preempted"}
    await kube.merge(RUNS, namespace, "shown", {"status": status}, part="status")
    accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = (await kube._http.get(RUNS.path(namespace), headers=accept)).json()
    columns = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert columns == ["Name", "Phase", "Stage", "Queue", "Verdict", "Age"]
    assert table["rows"][0]["cells"][:4] == ["shown", "Running", "sft", "team-a: Preempted"]
