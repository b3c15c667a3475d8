"""Parity on a real model of 270M parameters, through vLLM in bf16: healthy adapters pass, planted defects fail.

`POSOLOGY_REAL_MODEL` names the model's folder; without it the model is assembled, where the tool for it lies beside
this checkout. `POSOLOGY_QUALIFY_SEEDS` and `POSOLOGY_QUALIFY_PROMPTS` make a shorter run of it.
"""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posology.core import schema
from posology.v1alpha1 import evaluation_pb2 as pb
from posology.v1alpha1 import job_pb2

pytestmark = [pytest.mark.qualify, pytest.mark.timeout(5400)]

ROOT = Path(__file__).resolve().parents[3]
SEEDS = int(os.environ.get("POSOLOGY_QUALIFY_SEEDS", "5"))
PROMPTS = int(os.environ.get("POSOLOGY_QUALIFY_PROMPTS", "256"))
STEPS = int(os.environ.get("POSOLOGY_QUALIFY_STEPS", "20"))
DEFECTS = {
    "scaled": "merge",
    "skipped": "merge",
    "stale": "merge",
    "template": "template",
    "end-of-turn": "end of turn",
}
"""What is planted, and the check that names it."""


@pytest.fixture(scope="session")
def gemma(real_model: Path) -> Path:
    return real_model


@pytest.fixture(scope="session")
def tuned(
    gemma: Path, shared_data: Path, run_script: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int, str], Path]:
    """The folder of an adapter, its merge and its defects, by seed and method; made when it is first asked for."""
    root = tmp_path_factory.mktemp("adapters")
    rows = root / "rows.jsonl"
    rows.write_bytes(gzip.decompress((shared_data / "pharm_qa/medquad_subset.jsonl.gz").read_bytes()))

    def make(seed: int, method: str) -> Path:
        folder = root / f"{method}-{seed}"
        if not folder.exists():
            run_script("make_adapter.py", gemma, folder, seed, method, STEPS, rows, threads=2)
        return folder

    return make


async def gates(service: Any, gemma: Path, shared_data: Path, folder: Path, model: str, name: str) -> dict[str, Any]:
    """Every parity gate of a verdict on the folder `model` beside the adapter's, by metric."""
    suite = service.suites / "mmlu_clinical_knowledge_test.csv"
    rows = (shared_data / "mcq/mmlu_clinical_knowledge_test.csv").read_bytes().splitlines(keepends=True)
    suite.write_bytes(b"".join(rows[:PROMPTS]))
    adapter = service.publish(folder / "adapter", "adapter")
    (folder / model / "merge.json").write_text(json.dumps({"adapter": adapter}))
    spec = {
        "model": service.publish(folder / model, "model"),
        "baseModel": service.publish(gemma, "base-model"),
        "adapter": adapter,
        "evaluation": {
            "suites": [{"name": "clinical", "uri": suite.as_uri(), "scoring": "LETTER"}],
            "gates": [{"suite": "clinical", "maxDrop": 0.9}],
            "engine": {"dtype": "bfloat16", "maxModelLen": 1024},
            "parity": {"prompts": PROMPTS},
        },
    }
    request = pb.CreateEvaluationRequest(
        parent="namespaces/test", evaluation_id=name, spec=schema.parse(pb.EvaluationJobSpec, spec)
    )
    made = await service.stub.CreateEvaluation(request)
    async for _ in service.stub.WatchEvaluation(job_pb2.WatchJobRequest(name=made.name), timeout=3600):
        pass
    verdict = await service.stub.IssueVerdict(
        pb.IssueVerdictRequest(parent="namespaces/test", verdict_id=name, evaluation=made.name)
    )
    measured = {gate.metric: gate for gate in verdict.gates if gate.suite == "parity"}
    for gate in measured.values():
        print(name, gate.explanation)
    return measured


async def test_healthy_adapters_pass_and_planted_defects_fail(
    service: Any, gemma: Path, shared_data: Path, tuned: Callable[[int, str], Path]
) -> None:
    """One installation for all, so that the base is scored and its control measured once."""
    for seed in range(SEEDS):
        healthy = await gates(service, gemma, shared_data, tuned(seed, "LORA"), "merged", f"healthy-{seed}")
        wrong = {m: g.explanation for m, g in healthy.items() if g.outcome != pb.Verdict.PASS}
        assert not wrong, f"seed {seed}: {wrong}"
    for defect, check in DEFECTS.items():
        planted = await gates(service, gemma, shared_data, tuned(0, "LORA"), defect, f"defect-{defect}")
        assert planted[check].outcome == pb.Verdict.FAIL, defect


async def test_a_qlora_adapter_passes_merged_into_what_training_saw_and_fails_merged_into_the_original(
    service: Any, gemma: Path, shared_data: Path, tuned: Callable[[int, str], Path]
) -> None:
    healthy = await gates(service, gemma, shared_data, tuned(0, "QLORA"), "merged", "qlora")
    assert {g.outcome for g in healthy.values()} == {pb.Verdict.PASS}, {m: g.explanation for m, g in healthy.items()}
    original = await gates(service, gemma, shared_data, tuned(0, "QLORA"), "original", "qlora-original")
    assert original["merge"].outcome == pb.Verdict.FAIL
