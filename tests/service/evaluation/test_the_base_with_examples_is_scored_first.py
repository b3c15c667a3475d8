"""The baseline over real gRPC: scored like an evaluation, proves nothing, and is not taken for the base."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import json
from typing import Any

import pytest
from service.evaluation.evaluation_service import Service, policy

from posology.core.errors import InvalidInput
from posology.evaluation import items
from posology.evaluation.domain import FEW_SHOT, TUNED, Choice
from posology.v1alpha1 import evaluation_pb2 as pb


def with_baseline(service: Service, count: int = 100, **baseline: Any) -> dict[str, Any]:
    path = service.root / "suites" / "task.jsonl"
    rows = ({"id": f"d{i}", "question": f"What is d{i}?", "choices": ["a", "b"], "answer": 0} for i in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    stated = policy(service.root)
    return {
        "suites": [*stated["suites"], {"name": "task", "uri": path.as_uri(), "development": "BENEFIT"}],
        "gates": [*stated["gates"], {"suite": "mcq", "minGainOverFewShot": 0.1}],
        "baseline": baseline,
    }


async def test_a_baseline_is_scored_without_a_candidate_and_proves_nothing(service: Service) -> None:
    service.record(right=180, refuses=120)
    base = service.weights("the-base")
    request = service.request("few-shot", base=base, model=base, **with_baseline(service))
    request.spec.baseline = True
    scored = await service.evaluated_again(request)
    assert (scored.spec.baseline, scored.spec.evaluation.baseline.few_shot) == (True, 5)
    with pytest.raises(InvalidInput, match="nothing was tuned that may pass"):
        await service.verdict(scored)
    # Its scores are those of another prompt: the base is scored anew.
    after = await service.evaluated("after", base=base, **with_baseline(service))
    assert json.loads(str(after.status.summary["reuse"])) == {}


async def test_the_few_shot_base_is_a_rival_in_the_signed_verdict(service: Service) -> None:
    service.record(right=180, refuses=120)
    folder = service.root / "recorded"
    few = [Choice(f"q{i}", "", 0, (-1.0, -2.0) if i < 120 else (-2.0, -1.0)) for i in range(200)]
    stored = (folder / items.ITEMS).read_text()
    (folder / items.ITEMS).write_text(stored + items.write([items.line("mcq", FEW_SHOT, one) for one in few]))
    verdict = await service.verdict(await service.evaluated("rival", **with_baseline(service)))
    [gate] = [one for one in verdict.gates if one.kind == "rival"]
    assert (gate.outcome, gate.n, round(gate.estimate, 2)) == (pb.Verdict.PASS, 200, 0.3)
    assert gate.demands == {"minGainOverFewShot": 0.1}
    service.record(right=180, refuses=120)  # a worker that left it out
    verdict = await service.verdict(await service.evaluated("without", **with_baseline(service)), "v2")
    assert {one.outcome for one in verdict.gates if one.kind == "rival"} == {pb.Verdict.INVALID}
    assert TUNED != FEW_SHOT


@pytest.mark.parametrize(
    ("count", "baseline", "says"),
    [
        (100, {"suite": "mcq"}, "baseline.suite: is mcq"),
        (40, {}, "without 5 examples 35 are left"),
        (100, {"fewShot": 101}, "fewShot"),
        (100, {"fewShot": 0}, "fewShot: is 0"),
    ],
)
async def test_what_cannot_be_a_baseline_is_refused_at_the_door(
    service: Service, count: int, baseline: dict[str, Any], says: str
) -> None:
    request = service.request("wrong", **with_baseline(service, count, **baseline))
    request.validate_only = True
    with pytest.raises(InvalidInput, match=says):
        await service.stub.CreateEvaluation(request)


async def test_rows_for_a_task_of_lm_eval_are_admitted_and_a_task_without_its_kind_is_not(service: Service) -> None:
    path = service.root / "suites" / "arc.jsonl"
    path.write_text("".join(json.dumps({"question": f"Which {i}?", "answerKey": "B"}) + "\n" for i in range(900)))
    suite = {"name": "arc", "uri": path.as_uri(), "kind": "LM_EVAL", "lmEval": {"task": "arc_easy", "version": "1.0"}}
    gates = [{"suite": "arc", "maxDrop": 0.03}]
    request = service.request("arc", suites=[suite], gates=gates)
    request.validate_only = True
    admitted = await service.stub.CreateEvaluation(request)
    assert admitted.spec.evaluation.suites[0].lm_eval.task == "arc_easy"
    assert not [text for text in admitted.warnings if text.startswith("arc")]
    request = service.request("bare", suites=[{**suite, "kind": "REFUSAL"}], gates=gates)
    with pytest.raises(InvalidInput, match="is set exactly on a suite of kind LM_EVAL"):
        await service.stub.CreateEvaluation(request)
