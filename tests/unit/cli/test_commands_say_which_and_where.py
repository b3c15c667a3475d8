"""Commands name what they chose, refuse to write where no folder is, and print digests that can be used."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf import json_format
from typer.testing import CliRunner, Result

from posology.cli.app import app
from posology.cli.commands import runs
from posology.client.explain import verdict_line
from posology.core import signing
from posology.core.audit.chain import Head
from posology.core.audit.checkpoint import Checkpoint
from posology.core.release.tries import percent
from posology.v1alpha1 import job_pb2, orchestrator_pb2


def typed(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--data", str(folder), *words])


@pytest.mark.parametrize(
    "words",
    [
        ["report", "demo"],
        ["compare", "demo"],
        ["audit", "checkpoint"],
        ["policy", "sign", "examples/policy.yaml"],
    ],
)
def test_no_folder_is_made_where_one_was_misspelt(tmp_path: Path, words: list[str]) -> None:
    target = tmp_path / "nope" / "x.html"
    ended = typed(tmp_path, *words, "--to", str(target))
    assert f"there is no folder {target.parent}" in str(ended.exception)
    assert not target.parent.exists()
    ended = typed(tmp_path, *words, "--to", str(tmp_path))
    assert "is a folder" in str(ended.exception) or "is there already" in str(ended.exception)


def test_a_policy_is_shown_with_digests_that_can_be_copied_and_its_gates(tmp_path: Path) -> None:
    assert typed(tmp_path, "policy", "sign", "examples/policy.yaml").exit_code == 0
    shown, listed = (
        typed(tmp_path, "policy", "show"),
        json.loads(typed(tmp_path, "-o", "json", "policy", "show").stdout),
    )
    assert listed["digest"] in shown.output
    assert len(listed["digest"]) == len("sha256:") + 64
    requirements = [one["requirements"] for one in listed["overrides"]]
    requirements += [listed["default"]] if listed["default"] else []
    gates = [gate for one in requirements for suite in one["suites"] for gate in suite["gates"]]
    assert gates
    assert all(gate["kind"] in shown.output for gate in gates)
    digests = [suite["digest"] for one in requirements for suite in one["suites"] if suite["digest"]]
    assert all(digest in shown.output for digest in digests)
    assert "at least 0 items" not in shown.output
    assert "(;" not in shown.output


def test_a_checkpoint_of_somebody_else_asks_for_their_key_unless_one_was_named(tmp_path: Path) -> None:
    theirs, other = (signing.Signer.load_or_create(tmp_path / f"{name}.key") for name in ("theirs", "other"))
    file = tmp_path / "checkpoint.json"
    taken = Checkpoint(datetime.now(UTC), {"evaluation": Head(1, "sha256:" + "0" * 64)})
    file.write_text(json.dumps(taken.sign(theirs)))
    data = tmp_path / "data"
    assert "--key FILE.pub" in str(typed(data, "audit", "verify", str(file)).exception)
    (data / "keys").mkdir(parents=True)
    (data / "keys" / "auditor.pub").write_text(other.public_key.pem)
    ended = typed(data, "audit", "verify", str(file))
    assert "not trusted here" in str(ended.exception)
    assert "--key FILE.pub" in str(ended.exception)
    ended = typed(data, "audit", "verify", str(file), "--key", str(tmp_path / "other.pub"))
    assert "--key" not in str(ended.exception)


def test_a_log_without_a_stage_is_that_of_the_newest_and_is_named() -> None:
    stages = [("data", "datasets"), ("sft", "trainingJobs"), ("plan", "")]
    run = orchestrator_pb2.FineTuneRun(name="namespaces/default/fineTuneRuns/demo")
    for name, kind in stages:
        run.stages.add(stage=name, resource=f"namespaces/default/{kind}/{name}" if kind else "")
    assert runs._with_log(run, "") == ("sft", "namespaces/default/trainingJobs/sft")
    assert runs._with_log(run, "data")[0] == "data"


def test_whole_numbers_of_a_log_have_no_point() -> None:
    event = job_pb2.JobEvent()
    json_format.ParseDict({"log": {"message": "saved", "fields": {"step": 150, "loss": 0.5, "of": "x"}}}, event)
    assert "loss 0.5, of x, step 150" in runs._event_text(event)


def test_a_gate_is_named_once_in_an_explanation() -> None:
    gates = [
        ("parity", "disagreement adapter = merged", "adapter = merged: other tokens at 0.1%"),
        ("parity", "merge", "the merge on the weights: 3 tensors"),
        ("refusal", "refusal", "declines: 90.0% before"),
        ("mcq", "accuracy", "70.0% before"),
    ]
    predicate = {"gates": [dict(zip(("suite", "metric", "explanation"), one, strict=True)) for one in gates]}
    assert verdict_line("d", {"predicate": predicate})["gates"] == [
        "parity disagreement adapter = merged: other tokens at 0.1%",
        "parity merge: the merge on the weights: 3 tensors",
        "refusal: declines: 90.0% before",
        "mcq accuracy: 70.0% before",
    ]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.95, "95.0%"),
        (0.975, "97.5%"),
        (0.9875, "98.75%"),
        (0.99375, "99.375%"),
        (0.996875, "99.688%"),
        (1.0, "100.0%"),
    ],
)
def test_confidences_have_the_digits_that_they_need(share: float, text: str) -> None:
    assert percent(share) == text
