"""What an auditor does with a finished run: report, explain, recall, verify; also when somebody tampers with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pipeline.whole.conftest import Finished
from pipeline.whole.installation import stage

from posology.core.artifacts import ArtifactStore
from posology.core.signing import Signer

pytestmark = pytest.mark.slow
STAND_IN = "automated stand-in, not an expert"


def pair_of(finished: Finished) -> dict[str, Any]:
    """A pair that the run trained on."""
    store = ArtifactStore(f"file://{finished.whole.data}/artifacts/candidates")
    with store.open(stage(finished.run, "review-data").artifact, "train.jsonl") as rows:
        return next(row for row in map(json.loads, rows) if row["section"])


def test_the_report_holds_verdict_curves_reviews_and_lineage(finished: Finished, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = finished.whole.json("report", "micro", "--to", str(page))
    html = page.read_text()
    assert found["outcome"] == "PASS"
    assert {training["stage"] for training in found["trainings"]} == {"sft", "dpo"}
    assert all(len(training["curve"]) >= 2 for training in found["trainings"])
    assert '<div class="verdict good">' in html
    assert STAND_IN in html.split("</header>")[0]
    assert html.count('class="curves"') == 2
    assert html.count('class="interval"') >= 2
    for name in ("base-model", "review-data", "sft", "merge", "verdict"):
        assert stage(finished.run, name).artifact in html, name
    assert 'src="http' not in html


def test_an_answer_is_explained_up_to_its_label_sentence(finished: Finished) -> None:
    pair = pair_of(finished)
    question = pair["prompt"][-1]["content"]
    answer = finished.whole.json("ask", question, "--max-tokens", "4")
    found = finished.whole.json("explain", answer["answer"])
    assert found["verdict"]["outcome"] == "PASS"
    assert found["madeFrom"][0]["kind"] == "model"
    assert {"adapter", "dataset", "base-model"} <= {artifact["kind"] for artifact in found["madeFrom"]}
    assert found["dataset"] == stage(finished.run, "review-data").artifact
    assert found["reviews"][0]["reviewerKinds"] == [STAND_IN]
    assert found["question"] == question
    assert found["questionFrom"] == "from the gateway's record"
    assert found["sentences"][0]["drug"] == pair["drug"]
    assert found["sentences"][0]["source"].endswith(".xml")
    assert found["caution"] == "nearest in wording, not proof of cause"


def test_a_label_is_recalled_down_to_who_serves_it(finished: Finished) -> None:
    pair = pair_of(finished)
    found = finished.whole.json("recall", pair["drug"])
    assert found["matchedAs"] == "drug"
    digests = {data["digest"] for data in found["data"]}
    assert stage(finished.run, "review-data").artifact in digests
    assert stage(finished.run, "merge").artifact in {made["digest"] for made in found["made"]}
    assert "PASS" in {verdict["outcome"] for verdict in found["verdicts"]}
    assert any(deployment["modelName"] == "micro" for deployment in found["deployments"])
    assert finished.whole.json("recall", pair["section"])["matchedAs"] == "section"
    assert "nobodys-drug" in finished.whole.posology("recall", "nobodys-drug", wanted=5).stderr


def test_a_withdrawal_asks_first(finished: Finished) -> None:
    # There is nobody to ask in a test, so nothing is withdrawn and the other tests keep their run.
    finished.whole.posology("recall", pair_of(finished)["drug"], "--quarantine", "test", wanted=1)
    assert not any(data["quarantine"] for data in finished.whole.json("recall", pair_of(finished)["drug"])["data"])


def test_the_verdict_verifies_with_every_chain(finished: Finished) -> None:
    found = finished.whole.json("verify", "micro", "--audit")
    assert found["ok"]
    assert found["model"] == stage(finished.run, "merge").artifact
    subjects = {check["subject"] for check in found["checks"]}
    assert subjects == {
        "signature", "statement", "artifact", "lineage", "engine", "gates", "outcome", "policy", "audit",
    }  # fmt: skip
    statements = [check for check in found["checks"] if check["subject"] == "statement"]
    assert len(statements) == 5, "two reviews, and provenance of sft, dpo and merge"


def test_a_verdict_verifies_from_its_file_with_keys_that_came_another_way(finished: Finished, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    shutil.copytree(finished.whole.data / "keys", keys, ignore=shutil.ignore_patterns("*.key"))
    store = ArtifactStore(f"file://{finished.whole.data}/artifacts/candidates")
    file = tmp_path / "verdict.json"
    with store.open(stage(finished.run, "verdict").artifact, "verdict.dsse.json") as envelope:
        file.write_bytes(envelope.read())
    assert finished.whole.json("verify", str(file), "--keys", str(keys))["ok"]
    Signer.load_or_create(tmp_path / "strangers" / "evaluation.key")
    refused = finished.whole.posology("verify", str(file), "--keys", str(tmp_path / "strangers"), wanted=1)
    assert "not trusted here" in refused.stdout


def test_one_changed_byte_of_the_weights_fails_the_verification(finished: Finished, tmp_path: Path) -> None:
    data = tmp_path / "copy"
    for part in ("artifacts", "keys", "db"):
        shutil.copytree(finished.whole.data / part, data / part)
    weights = ArtifactStore(f"file://{data}/artifacts/candidates").manifest(stage(finished.run, "merge").artifact)
    sha256 = weights.file("model.safetensors").sha256
    blob = data / "artifacts" / "candidates" / "blobs" / sha256[:2] / sha256
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(bytes(content))
    refused = finished.whole.posology("--data", str(data), "verify", "micro", wanted=1)
    assert "FAILED  artifact: model (the subject)" in refused.stdout
    assert "model.safetensors was altered" in refused.stdout
