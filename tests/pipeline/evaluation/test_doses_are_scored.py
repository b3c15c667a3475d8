"""A dose's worker scores, measures intensity, and takes what an earlier dose knows of the base; the engine is torch's.

What vLLM answers is shown by the other tests here: a sweep asks it the same questions.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.servers import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.qualify]
HERE = Path(__file__).parent
WORKER = REPOSITORY / ".venv/worker/bin/python"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two doses after each other, and the first model compared with itself."""
    root = tmp_path_factory.mktemp("doses")
    tiny = REPOSITORY / "tests/pipeline/training/tiny_model.py"
    subprocess.run([WORKER, tiny, json.dumps({str(root / "base"): {}})], check=True, capture_output=True)
    done = subprocess.run([WORKER, HERE / "score_doses.py", root], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_base_is_scored_for_the_first_dose_and_never_again(scored: Any) -> None:
    assert scored["first"]["started"] == ["base", "tuned"]
    assert scored["second"]["started"] == ["tuned"]
    assert scored["second"]["reused"] == ["general", "task"]


def test_intensity_is_the_same_with_what_was_kept_and_zero_for_the_base_itself(scored: Any) -> None:
    first, second = scored["first"]["intensity"], scored["second"]["intensity"]
    assert first["mean_kl"] > 0.001
    assert first == second
    assert first["prompts"] == 6
    assert scored["itself"]["intensity"]["mean_kl"] == pytest.approx(0, abs=1e-9)


def test_only_development_suites_are_scored_and_no_parity_is_left(scored: Any) -> None:
    assert scored["first"]["suites"] == ["general", "task"]
    assert scored["first"]["files"] == ["control.json", "engine.json", "intensity.json", "items.jsonl"]
