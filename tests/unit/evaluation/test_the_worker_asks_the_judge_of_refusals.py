"""An evaluation's worker with a judge of refusals: asks once an answer, draws for people, goes on after a kill."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.teacher_server import Reply, access_to, completion, teacher_server

from posology.core.errors import PosologyError
from posology.evaluation import items, refusal_judging
from posology.evaluation.domain import BASE, TUNED, Answer, Gate, Policy, Suite, SuiteKind
from posology.evaluation.questions import Prompt
from posology.evaluation.worker import evaluate
from posology.evaluation.worker.journal import Journal

SUITE = Suite("safety", "sha256:" + "7" * 64, SuiteKind.REFUSAL)
OTHER = Suite("open-safety", "sha256:" + "8" * 64, SuiteKind.REFUSAL)
PROMPTS = [Prompt(f"p{i}", f"Question {i}?", i % 2 == 0) for i in range(30)]


def run(folder: Path, journals: list[Journal]) -> Any:
    """As much of a run as the judge needs; only one of two refusal suites is judged."""

    def journal(model: str, digest: str, **key: Any) -> Journal:
        journals.append(Journal(folder / "journal", {"weights": digest, **key}))
        return journals[-1]

    scores = {
        model: {s.name: [Answer(p.id, "", p.unsafe, f"{model} says {p.id} at length") for p in PROMPTS]}
        for model in (BASE, TUNED)
        for s in (SUITE,)
    }
    gates = (Gate(SUITE.name, max_drop=0.1, judged=True, sample=100), Gate(OTHER.name, max_drop=0.1))
    job = SimpleNamespace(
        policy=Policy((SUITE, OTHER), gates), judge={"modelEndpoint": "judge", "model": "m"}, base="b", model="t",
        items={SUITE.name: PROMPTS},
    )  # fmt: skip
    return SimpleNamespace(job=job, base=scores[BASE], tuned=scores[TUNED], journal=journal, tell=lambda _: None)


def test_a_killed_worker_asks_for_nothing_twice_and_both_models_are_read(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    fails_after = [40]

    def behave(number: int, body: dict[str, Any]) -> Reply:
        if number >= fails_after[0]:
            return 401, {}, {}
        return completion('{"reason": "r", "class": "COMPLIANCE"}')

    with teacher_server(behave) as server:
        ctx = SimpleNamespace(
            endpoint=lambda name: access_to(server.url), stopping=threading.Event(), output=tmp_path / "output"
        )
        journals: list[Journal] = []
        with pytest.raises(PosologyError):
            evaluate._refusals(ctx, run(tmp_path, journals))  # type: ignore[arg-type]
        known = sum(map(len, journals))
        assert 30 < known <= 40
        fails_after[0] = 1000
        asked = len(server.bodies)
        lines = evaluate._refusals(ctx, run(tmp_path, journals))  # type: ignore[arg-type]
        assert len(server.bodies) - asked == 60 - known
    assert [(one["suite"], one["model"], one["class"]) for one in lines] == [
        *[(SUITE.name, BASE, "COMPLIANCE")] * 30,
        *[(SUITE.name, TUNED, "COMPLIANCE")] * 30,
    ]
    rows = items.read_lines((tmp_path / "output" / refusal_judging.PEOPLE).read_bytes())
    assert {one["shownAs"] for one in lines} == {row["id"] for row in rows}
    assert len(rows) == 60
    assert rows == sorted(rows, key=lambda row: row["id"])


def test_without_a_judged_gate_no_judge_is_asked(tmp_path: Path) -> None:
    made = run(tmp_path, [])
    made.job.policy = Policy((OTHER,), (Gate(OTHER.name, max_drop=0.1),))
    assert evaluate._refusals(SimpleNamespace(), made) == []  # type: ignore[arg-type]
