"""Merges go tensor by tensor: what PEFT's merge in memory gives, bit for bit, in the memory of some tensors."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.training_bench import WORKER_PYTHON

CHECKS = Path(__file__).with_name("merge_checks.py")


def run(what: str, folder: Path) -> Any:
    """What the checks print."""
    if not Path(WORKER_PYTHON).exists():
        pytest.skip(f"no worker environment at {WORKER_PYTHON}; make it, or set POSOLOGY_WORKER_PYTHON")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [WORKER_PYTHON, str(CHECKS), what, str(folder)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("equal", tmp_path_factory.mktemp("merges"))


def test_a_streamed_merge_is_pefts_own_bit_for_bit(report: Any) -> None:
    """fp32 and bf16, LoRA, DoRA, rsLoRA, QLoRA on its dequantised base, tied heads, shards, whole modules."""
    streamed = {name: case for name, case in report.items() if "different" in case}
    assert len(streamed) == 17
    assert {name: case["different"] for name, case in streamed.items() if case["different"]} == {}
    assert all(case["settings"] for case in streamed.values())
    assert streamed["tied, in shards"]["files"] > 1


def test_a_tied_head_that_was_trained_is_untied_and_stays_the_model_that_was_trained(report: Any) -> None:
    """PEFT merges it into the embedding as well."""
    assert [case["largest"] for case in report.values() if "largest" in case] == pytest.approx([0, 0, 0], abs=1e-5)


def test_a_base_whose_files_are_laid_out_otherwise_is_merged_whole_and_says_why(report: Any) -> None:
    assert "experts" in report["attention beside fused experts"]["why"]


def test_a_merge_holds_less_than_one_weight_file_and_one_tensor_more(tmp_path: Path) -> None:
    """Measured in a process of its own, at a model of 336 MiB in weight files of 36."""
    run("peak", tmp_path)  # makes the model: what that takes would hide the peak
    sizes = run("peak", tmp_path)
    assert sizes["model"] > 5 * (sizes["shard"] + sizes["tensor"])
    assert sizes["grown"] < sizes["shard"] + sizes["tensor"] + ALLOWED, sizes


ALLOWED = 24
"""MiB: code and tables that the first product and the first file bring along."""
