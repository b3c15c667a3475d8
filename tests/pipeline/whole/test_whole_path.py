"""Labels to a served, released model; services, workers and engines are the real ones, the model is tiny and random."""

from __future__ import annotations

import json

import httpx
import pytest
from pipeline.whole.conftest import Finished
from pipeline.whole.installation import SPEC, stage

from posology.client import Installation
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun, Stage

pytestmark = pytest.mark.slow


def test_the_run_succeeds_and_every_stage_says_what_it_did(finished: Finished) -> None:
    run = finished.run
    assert run.phase == FineTuneRun.SUCCEEDED, run.message
    assert [s.stage for s in run.stages] == [
        "plan", "base-model", "curate", "general", "preferences", "preflight", "review-data", "review-preferences",
        "sft", "dpo", "merge", "evaluate", "verdict", "deploy",
    ]  # fmt: skip
    assert all(s.state == Stage.SUCCEEDED and s.reason for s in run.stages)
    assert stage(run, "verdict").reason.startswith("PASS")


def test_the_served_model_answers_with_its_provenance(finished: Finished) -> None:
    secret = finished.whole.json("keys", "create", "test")["secret"]
    url = Installation.discover(finished.whole.data).gateway_url
    body = {"model": "micro", "messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 8}
    headers = {"authorization": f"Bearer {secret}"}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"
    assert answer.headers["x-posology-model-digest"] == stage(finished.run, "merge").artifact
    assert answer.headers["x-posology-verdict"] == stage(finished.run, "verdict").artifact
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body | {"stream": True}, headers=headers) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code == 401


def test_asking_on_the_command_line_names_the_answer(finished: Finished) -> None:
    found = finished.whole.json("ask", "What is it?", "--max-tokens", "4")
    assert found["modelDigest"] == stage(finished.run, "merge").artifact


def test_weights_without_a_verdict_are_refused(finished: Finished) -> None:
    base = stage(finished.run, "base-model").artifact
    refused = finished.whole.posology("deploy", base, "--name", "sneaky", wanted=4)
    assert "verdict" in refused.stderr


def test_a_second_run_of_the_same_spec_reuses_what_the_first_published(finished: Finished) -> None:
    finished.whole.submit("again")
    run = finished.whole.complete("again")
    assert run.phase == FineTuneRun.SUCCEEDED, run.message
    reused = {s.stage for s in run.stages if s.reused}
    reviews = {"review-data", "review-preferences"}
    assert reused == {"curate", "general", "preferences", "preflight", *reviews, "sft", "dpo", "merge", "evaluate"}
    assert stage(run, "merge").artifact == stage(finished.run, "merge").artifact


def test_a_gate_that_does_not_hold_ends_the_run_and_its_model_is_refused(finished: Finished) -> None:
    harder = finished.whole.root / "harder.yaml"
    text = SPEC.read_text().replace("atLeast: 0.0, lowerBoundAtLeast: 0.0", "atLeast: 0.99, lowerBoundAtLeast: 0.98")
    harder.write_text(text.replace("../../../examples", f"{SPEC.parents[3]}/examples"))
    finished.whole.submit("harder", harder)
    run = finished.whole.complete("harder")
    assert run.phase == FineTuneRun.FAILED
    assert stage(run, "verdict").reason.startswith("FAIL")
    assert stage(run, "deploy").state == Stage.CANCELLED
    refused = finished.whole.posology("deploy", stage(run, "merge").artifact, "--name", "harder", wanted=4)
    assert "FAIL" in refused.stderr


def test_two_submissions_of_one_name_are_one_too_many(finished: Finished) -> None:
    places = ("--set", f"base=file:{finished.whole.root}/base", "--set", f"suites=file:{finished.whole.root}/suites")
    again = finished.whole.posology("submit", str(SPEC), *places, wanted=2)
    assert "exists already" in again.stderr


def test_an_unknown_run_is_said_to_be_unknown(finished: Finished) -> None:
    assert "there is no run nobody" in finished.whole.posology("show", "nobody", wanted=5).stderr


def test_the_log_of_training_has_its_losses(finished: Finished) -> None:
    said = finished.whole.posology("--output", "json", "logs", "micro", "sft").stdout.splitlines()
    metrics = [json.loads(line)["metric"] for line in said if "metric" in json.loads(line)]
    assert any("loss" in metric["values"] for metric in metrics)


def test_a_file_outside_the_allowed_folders_is_refused_with_its_field(finished: Finished) -> None:
    elsewhere = ("--set", "base=file:/usr/share", "--set", f"suites=file:{finished.whole.root}/suites")
    refused = finished.whole.posology("submit", str(SPEC), "--name", "outside", *elsewhere, wanted=2)
    assert "spec.baseModel.uri" in refused.stderr
