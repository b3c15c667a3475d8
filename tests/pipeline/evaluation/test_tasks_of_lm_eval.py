"""Tasks of lm-evaluation-harness: its prompts and metrics, our requests. Where workers have the library."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.qualify  # the library takes half a minute to import

ROOT = Path(__file__).resolve().parents[3]
RUN = ROOT / "tests" / "support" / "harness_run.py"


def run(folder: Path, kind: str, **task: Any) -> dict[str, Any]:
    python = ROOT / ".venv/worker/bin/python"
    if not python.exists():
        pytest.skip("no worker environment")
    words = [str(python), str(RUN), str(folder), json.dumps(task), kind]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=300)
    if done.returncode == 3:
        pytest.skip("the worker's environment has no lm-evaluation-harness: requirements/lm-eval.txt")
    assert not done.returncode, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_choices_are_asked_as_the_task_says_and_a_killed_run_asks_nothing_twice(tmp_path: Path) -> None:
    found = run(tmp_path, "choice", task="arc_easy", few_shot=1)
    assert found["identity"] == {"task": "arc_easy", "version": "1.0", "lm-eval": "0.4.13"}
    assert found["ids"] == [str(i) for i in range(1, 9)]
    assert found["right"] == ["2", "3", "5", "6", "8"]  # the engine likes y, which is B
    assert (found["requests"], found["same"], found["valid"]) == (8 * 3, True, True)
    assert found["prompt"].startswith("<user>Question: Which is 0?\nAnswer:<assistant>y<user>Question: Which is ")


def test_generated_answers_are_right_by_the_tasks_own_metric(tmp_path: Path) -> None:
    found = run(tmp_path, "text", task="gsm8k", metric="exact_match")
    assert found["right"] == ["1", "2", "4", "5", "7", "8"]
    assert (found["requests"], found["same"]) == (9, True)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ({"task": "no_such_task"}, "lm-eval has no task 'no_such_task'"),
        ({"task": "mmlu"}, "groups of tasks are not asked"),
        ({"task": "arc_easy", "version": "7"}, "arc_easy is version 1.0 in lm-eval 0.4.13, 7 is asked"),
        ({"task": "arc_easy", "metric": "bleu"}, "the task measures acc, acc_norm, and lmEval.metric is bleu"),
        ({"task": "hellaswag"}, "cannot be made over the suite's file"),
        ({"task": "wikitext"}, "wikitext"),
    ],
)
def test_what_is_no_task_for_such_rows_is_said(tmp_path: Path, task: dict[str, Any], says: str) -> None:
    assert says in run(tmp_path, "choice", **task)["error"]
