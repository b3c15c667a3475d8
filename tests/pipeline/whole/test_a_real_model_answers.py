"""Ten steps of a real pretrained model, from labels to an answer, wherever such a model is at hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pipeline.whole.installation import Whole, few_items, stage

from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

pytestmark = [pytest.mark.qualify, pytest.mark.timeout(3600)]


def test_ten_steps_of_a_real_model_end_in_an_answer(real_model: Path, tmp_path: Path) -> None:
    whole = Whole(tmp_path)
    few_items(tmp_path)
    shutil.copytree(real_model, tmp_path / "base", copy_function=os.link)
    whole.up()
    try:
        whole.submit("real-model", Path(__file__).with_name("real-model.yaml"))
        run = whole.complete("real-model", seconds=3000)
        print(whole.posology("show", "real-model").stdout)
        assert run.phase == FineTuneRun.SUCCEEDED, f"{run.message}\n{_logs(whole)}"
        answer = whole.json("ask", "What is aspirin used for?", "--max-tokens", "24")
        assert answer["modelDigest"] == stage(run, "merge").artifact
    finally:
        whole.posology("down")
        shutil.rmtree(whole.data)  # gigabytes


def _logs(whole: Whole) -> str:
    return "\n".join(path.read_text()[-2000:] for path in sorted(whole.data.rglob("*.log")))
