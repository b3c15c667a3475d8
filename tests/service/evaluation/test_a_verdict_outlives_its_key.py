"""Rotating and revoking the key of verdicts under what serves is no dead end, and nobody learns of it too late."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest
from service.evaluation.evaluation_service import Service
from service.evaluation.test_nobody_serves_what_is_not_proven import Submitter, submitter
from service.evaluation.test_whose_fail_counts import weights
from typer.testing import CliRunner, Result

from posology.cli.app import app
from posology.client import envelopes
from posology.core import key_rotation
from posology.core.errors import InvalidInput, NotFound, PosologyError
from posology.core.revocation import read_revoked
from posology.core.rpc import context
from posology.core.rpc.impersonation import DOOR_HEADER, USER_HEADER
from posology.core.signing import PublicKey, Signer
from posology.v1alpha1 import evaluation_pb2, serving_pb2

__all__ = ["submitter"]  # a fixture of the neighbour's


async def type_(submitter: Submitter, *words: str) -> Result:
    """A command on this installation, which knows no other services than these."""
    addresses = {
        "ORCHESTRATOR": submitter.service.catalog,
        "EVALUATION": submitter.service.address,
        "SERVING": submitter.serving_address,
    }
    environment = {f"POSOLOGY_{name}_ADDRESS": address for name, address in addresses.items()}
    typed = ["--data", str(submitter.root), "-n", "test", *words]
    return await asyncio.to_thread(
        CliRunner().invoke, app, typed, env={**os.environ, **environment, "POSOLOGY_TOKEN": "secret"}
    )


async def read(submitter: Submitter, *words: str) -> Any:
    done = await type_(submitter, "-o", "json", *words)
    assert done.exit_code == 0, (words, done.output, done.exception)
    return json.loads(done.stdout)


async def serving(submitter: Submitter) -> tuple[str, str]:
    """Weights that are deployed, and the digest of their verdict, which a run got with all that it carries."""
    root = weights(submitter.service, "root", kind="base-model", model="root")
    model = weights(submitter.service, "good", root, model="good")
    review = Signer.load_or_create(submitter.root / "keys" / "curation.key").sign({"predicateType": "review"})
    submitter.service.record(right=190, refuses=120)
    request = submitter.service.request("good", model=model, base=root)
    request.spec.model_name = "labels"
    evaluation = await submitter.service.evaluated_again(request)
    before = context.run_id.set("namespaces/test/fineTuneRuns/labels-run")
    verdict = await submitter.service.verdict(
        evaluation, "first", statements=[json.dumps(review)], lineage=[model, root], doses_tried=3
    )
    context.run_id.reset(before)
    await submitter.serving.CreateDeployment(
        serving_pb2.CreateDeploymentRequest(
            parent="namespaces/test",
            deployment_id="labels",
            model=model,
            verdict=verdict.artifact,
            spec=serving_pb2.ServingSpec(model_name="labels", replicas=2),
        )
    )
    return model, verdict.artifact


def predicate(submitter: Submitter, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = envelopes.payload(submitter.envelope(digest))["predicate"]
    return found


async def test_the_steps_of_the_page_end_with_an_engine_that_may_load(submitter: Submitter) -> None:
    """docs/signing-keys.md, "Revoke"."""
    model, first = await serving(submitter)
    done = await read(submitter, "signing-keys", "rotate", "evaluation")
    (again,) = await read(submitter, "verdicts", "reissue", "--key", done["old"], "--deploy")
    assert (again["before"], again["signer"], again["outcome"]) == (first, done["new"], "PASS")
    assert again["deployments"] == ["namespaces/test/deployments/labels"]
    revoked = await type_(submitter, "signing-keys", "revoke", done["old"], "--reason", "lost")
    assert revoked.exit_code == 0, revoked.output
    assert "was revoked" in submitter.agent(model, first)
    assert submitter.agent(model, again["verdict"]) == ""
    (name,) = again["successors"]
    successor = await submitter.serving.GetDeployment(serving_pb2.GetDeploymentRequest(name=name))
    assert (successor.verdict, successor.spec.replicas) == (again["verdict"], 2)
    assert await submitter.deploy(model) == "", "the newest verdict is found, and counts"


async def test_one_command_goes_through_every_namespace_and_every_page(
    submitter: Submitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, first = await serving(submitter)
    await read(submitter, "verdicts", "reissue", model)  # a newer one, so that the first is on another page
    monkeypatch.setattr("posology.client.client._PAGE", 1)
    done = await read(submitter, "signing-keys", "rotate", "evaluation")
    elsewhere = ("-n", "other", "verdicts", "reissue", "--key", done["old"], "--deploy")
    assert await read(submitter, *elsewhere) == []
    (again,) = await read(submitter, *elsewhere, "--all-namespaces")
    assert (again["before"], again["signer"]) == (first, done["new"])
    assert again["name"].startswith("namespaces/test/verdicts/")
    assert [one.rpartition("/")[0] for one in again["successors"]] == ["namespaces/test/deployments"]
    alone = await type_(submitter, "verdicts", "reissue", "labels-run", "--all-namespaces")
    assert "goes with --key" in alone.output + str(alone.exception)


async def test_what_a_verdict_carries_is_carried_on(submitter: Submitter) -> None:
    _, first = await serving(submitter)
    await read(submitter, "signing-keys", "rotate", "evaluation")
    (again,) = await read(submitter, "verdicts", "reissue", "labels-run")
    old, new = predicate(submitter, first), predicate(submitter, again["verdict"])
    same = ("gates", "run", "statements", "lineage", "dosesTried", "evaluation", "tries", "probes", "engine", "suites")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["run"] == "namespaces/test/fineTuneRuns/labels-run"
    assert again["successors"] == []


async def test_revoking_a_key_under_what_serves_names_what_serves(submitter: Submitter) -> None:
    model, first = await serving(submitter)
    done = await read(submitter, "signing-keys", "rotate", "evaluation")
    revoked = await type_(submitter, "signing-keys", "revoke", done["old"], "--reason", "stolen")
    assert revoked.exit_code == 0, "a stolen key is revoked whatever rests on it"
    assert "namespaces/test/deployments/labels rests on a verdict of this key" in revoked.output
    assert read_revoked(submitter.root / "keys" / key_rotation.REVOKED) == {done["old"]}
    # And from there the way out is the same one.
    (again,) = await read(submitter, "verdicts", "reissue", "--key", done["old"][:16], "--deploy")
    assert submitter.agent(model, again["verdict"]) == ""
    assert again["before"] == first


@pytest.mark.parametrize("by", ["digest", "weights", "name", "run", "full run"])
async def test_a_verdict_is_named_as_people_have_it(submitter: Submitter, by: str) -> None:
    model, first = await serving(submitter)
    target = {
        "digest": first,
        "weights": model,
        "name": "namespaces/test/verdicts/first",
        "run": "labels-run",
        "full run": "namespaces/test/fineTuneRuns/labels-run",
    }[by]
    (again,) = await read(submitter, "verdicts", "reissue", target)
    assert again["before"] == first
    listed = await read(submitter, "verdicts", "list")
    assert {one["artifact"] for one in listed} == {first, again["verdict"]}


async def test_a_deployment_gets_a_successor_by_somebody_else(submitter: Submitter) -> None:
    """Who had the verdict issued may not be who releases."""
    await serving(submitter)
    (again,) = await read(submitter, "verdicts", "reissue", "labels-run")
    made = await read(submitter, "verdicts", "redeploy", "labels")
    assert made["verdict"] == again["verdict"]


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ([], InvalidInput, "name a run or a verdict, or a key"),
        (["labels-run", "--key", "0" * 16], InvalidInput, "one of them"),
        (["nothing"], NotFound, "no verdict in namespaces/test"),
        (["namespaces/test/verdicts/nothing"], NotFound, "there is no"),
        (["--key", ""], InvalidInput, "name a run or a verdict"),
    ],
)
async def test_what_is_not_there_is_said(
    submitter: Submitter, words: list[str], kind: type[PosologyError], says: str
) -> None:
    done = await type_(submitter, "verdicts", "reissue", *words)
    assert isinstance(done.exception, kind), done.output
    assert says in str(done.exception)


async def test_a_key_on_which_nothing_rests_asks_for_nothing(submitter: Submitter) -> None:
    done = await type_(submitter, "verdicts", "reissue", "--key", "0" * 16)
    assert done.exit_code == 0
    assert "no deployment in test rests" in done.output


async def test_scores_that_fail_now_release_nothing(service: Service, submitter: Submitter) -> None:
    """Reissuing is no way around a gate: a FAIL is a FAIL again, and says so by its exit code."""
    root = weights(service, "root", kind="base-model", model="root")
    bad = weights(service, "bad", root, model="bad")
    await submitter.evaluate("bad", bad, root, refuses=40)
    done = await type_(submitter, "verdicts", "reissue", bad, "--deploy")
    assert done.exit_code == 1
    assert "FAIL" in done.output
    listed = await service.stub.ListVerdicts(evaluation_pb2.ListVerdictsRequest(parent="namespaces/test"))
    assert {one.outcome for one in listed.verdicts} == {evaluation_pb2.Verdict.FAIL}
    assert PublicKey.load(submitter.root / "keys" / "evaluation.pub").id in listed.verdicts[0].envelope


async def test_a_colleague_who_issues_a_verdict_again_frees_nobody_to_release_his_own(submitter: Submitter) -> None:
    root = weights(submitter.service, "root", kind="base-model", model="root")
    model = weights(submitter.service, "good", root, model="good")
    submitter.service.record(right=190, refuses=120)
    evaluation = await submitter.service.evaluated_again(submitter.service.request("good", model=model, base=root))
    names = []
    for person, name in (("jane", "first"), ("bob", "again")):
        request = evaluation_pb2.IssueVerdictRequest(
            parent="namespaces/test", verdict_id=name, evaluation=evaluation.name
        )
        through = ((USER_HEADER, person), (DOOR_HEADER, "orchestrator"))
        verdict = await submitter.service.stub.IssueVerdict(request, metadata=through)
        names.append(envelopes.payload(json.loads(verdict.envelope))["predicate"]["submitter"])
    assert names == ["jane", "jane"]
