"""A candidate and its base through two real engines, the parity ladder, and to a verdict."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from posology.core import schema
from posology.evaluation import items
from posology.v1alpha1 import evaluation_pb2 as pb
from posology.v1alpha1 import job_pb2

pytestmark = pytest.mark.slow

QUESTIONS: list[dict[str, object]] = [
    {"id": f"q{i}", "question": f"Number {i}?", "choices": [f"{i}", "none", "a few more", "all"], "answer": i % 4}
    for i in range(12)
]
PROMPTS: list[dict[str, object]] = [{"id": f"p{i}", "prompt": f"Do thing {i}.", "unsafe": i % 2 == 0} for i in range(8)]


def _request(service: Any, candidate: Any, name: str, *, model: Path, adapter: bool) -> pb.CreateEvaluationRequest:
    suites = [
        {"name": "likely", "uri": service.write_suite("likely", QUESTIONS), "scoring": "OPTION_LIKELIHOOD"},
        {"name": "letter", "uri": service.write_suite("letter", QUESTIONS), "scoring": "LETTER"},
        {"name": "safety", "uri": service.write_suite("safety", PROMPTS), "kind": "REFUSAL", "maxTokens": 8},
    ]
    base = service.publish(candidate.base, "base-model")
    merged = service.publish(candidate.adapter, "adapter") if adapter else ""
    folder = service.root / f"{name}-model"
    shutil.copytree(model, folder)
    (folder / "merge.json").write_text(json.dumps({"adapter": merged}))
    spec = {
        "model": service.publish(folder, "model"),
        "baseModel": base,
        "adapter": merged,
        "evaluation": {
            "suites": suites,
            "gates": [{"suite": s["name"], "maxDrop": 0.9} for s in suites],
            "engine": {"dtype": "float32", "maxModelLen": 256},
            "parity": {"prompts": 24},
        },
    }
    parsed = schema.parse(pb.EvaluationJobSpec, spec)
    return pb.CreateEvaluationRequest(parent="namespaces/test", evaluation_id=name, spec=parsed)


async def _finished(service: Any, request: pb.CreateEvaluationRequest) -> pb.EvaluationJob:
    made = await service.stub.CreateEvaluation(request)
    async for _ in service.stub.WatchEvaluation(job_pb2.WatchJobRequest(name=made.name), timeout=500):
        pass
    found: pb.EvaluationJob = await service.stub.GetEvaluation(pb.GetEvaluationRequest(name=made.name))
    logs = "".join(path.read_text()[-3000:] for path in service.root.glob("jobs/*/*/worker.log"))
    assert found.status.state == job_pb2.JobStatus.SUCCEEDED, f"{found.status.reason}\n{logs}"
    return found


async def test_a_candidate_is_scored_compared_and_judged_and_its_base_only_once(service: Any, candidate: Any) -> None:
    first = await _finished(service, _request(service, candidate, "one", model=candidate.merged, adapter=True))
    lines = _stored(service, first, items.ITEMS)
    assert len(lines) == 2 * (12 + 12 + 8)
    assert all(None not in line["scores"] for line in lines if "scores" in line)
    steps = {step["name"]: step for step in _stored(service, first, items.PARITY)["steps"]}
    assert steps.keys() == {"adapter = merged", "merged = served"}
    assert all(step["agreement"] > 0.98 and step["mean_kl"] < 1e-5 for step in steps.values())
    assert _stored(service, first, items.ENGINE)["tuned"]["engine_version"]
    assert all(probe["tokenIds"] for probe in _stored(service, first, items.PROBES))

    verdict = await service.stub.IssueVerdict(
        pb.IssueVerdictRequest(parent="namespaces/test", verdict_id="v", evaluation=first.name)
    )
    assert {g.outcome for g in verdict.gates if g.suite == "parity"} == {pb.Verdict.PASS}
    # Of random weights nobody can say whether they gave harmful content, so the refusal suite rightly decides nothing.
    assert pb.Verdict.INVALID not in {g.outcome for g in verdict.gates if g.suite != "safety"}

    again = await _finished(service, _request(service, candidate, "two", model=candidate.base, adapter=False))
    assert schema.to_mapping(again.status.summary)["reused"] == ["letter", "likely", "safety"]
    both = {m: [x for x in _stored(service, again, items.ITEMS) if x["model"] == m] for m in ("base", "tuned")}
    assert [x["id"] for x in both["base"]] == [x["id"] for x in both["tuned"]]
    assert _largest_difference(both["base"], both["tuned"]) < 1e-3


async def test_a_merge_that_is_not_the_adapter_is_found_by_the_ladder(service: Any, candidate: Any) -> None:
    found = await _finished(service, _request(service, candidate, "wrong", model=candidate.base, adapter=True))
    verdict = await service.stub.IssueVerdict(
        pb.IssueVerdictRequest(parent="namespaces/test", verdict_id="v", evaluation=found.name)
    )
    outcomes = {g.metric: g.outcome for g in verdict.gates if g.suite == "parity"}
    # An adapter this mild may stay under the ceiling of the mean divergence; the proof on the weights has none to miss.
    assert outcomes["merge"] == pb.Verdict.FAIL, [g.explanation for g in verdict.gates if g.suite == "parity"]
    assert outcomes["kl merged = served"] == pb.Verdict.PASS
    assert verdict.outcome != pb.Verdict.PASS


async def test_cancelling_an_evaluation_ends_its_engine(service: Any, candidate: Any) -> None:
    made = await service.stub.CreateEvaluation(
        _request(service, candidate, "cancel", model=candidate.merged, adapter=False)
    )
    await _until(lambda: bool(_engines(service.root)))
    await service.stub.CancelEvaluation(pb.CancelEvaluationRequest(name=made.name))
    await _until(lambda: not _engines(service.root))
    async for event in service.stub.WatchEvaluation(job_pb2.WatchJobRequest(name=made.name), timeout=60):
        last = event
    assert last.status.state == job_pb2.JobStatus.CANCELLED


def _stored(service: Any, job: pb.EvaluationJob, path: str) -> Any:
    with service.artifacts.open(job.status.artifact, path) as stored:
        content = stored.read()
    return items.read_lines(content) if path == items.ITEMS else json.loads(content)


def _largest_difference(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> float:
    pairs = [(a, b) for a, b in zip(some, others, strict=True) if "scores" in a]
    return float(max(abs(x - y) for a, b in pairs for x, y in zip(a["scores"], b["scores"], strict=True)))


def _engines(root: Path) -> list[int]:
    """Processes of vLLM that serve a model of this installation."""
    found = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        words = process.info["cmdline"] or []
        if "vllm.entrypoints.openai.api_server" in words and any(str(root) in word for word in words):
            found.append(process.info["pid"])
    return found


async def _until(holds: Any, *, seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.2)
