"""Scores doses of a tiny model with the evaluation worker, whose engine is a model in this process; prints JSON."""

import contextlib
import json
import shutil
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from posology.core import schema
from posology.engine import EngineConfig
from posology.evaluation.worker import evaluate as worker
from posology.evaluation.worker.measurement import Measurement
from posology.evaluation.worker.tokens import Template
from posology.v1alpha1 import evaluation_pb2 as pb

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/suites"
TUNED, BASE = "sha256:" + "1" * 64, "sha256:" + "2" * 64
SUITES = {"task": ("open-book-development", "BENEFIT"), "general": ("everyday", "SIDE_EFFECT")}


class InProcess:
    """What the worker asks of an engine, answered by transformers."""

    in_flight, context = 1, 512

    def __init__(self, folder: Path) -> None:
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._template = Template(folder)

    async def generate(self, prompt: str, *, max_tokens: int) -> Any:
        ids = self._template.prompt(prompt)
        whole = self._model.generate(torch.tensor([ids]), max_new_tokens=max_tokens, do_sample=False)[0].tolist()
        return SimpleNamespace(text="", prompt_token_ids=tuple(ids), token_ids=tuple(whole[len(ids) :]), finished=True)

    async def likelihoods(self, sequences: Any) -> list[list[float | None]]:
        scores = []
        for ids in sequences:
            with torch.no_grad():
                logs = torch.log_softmax(self._model(torch.tensor([list(ids)])).logits[0].float(), -1)
            scores.append([None, *(float(logs[i - 1, token]) for i, token in enumerate(ids) if i)])
        return scores


def spec() -> dict[str, Any]:
    suites: list[dict[str, Any]] = [{"name": "holdout", "uri": "file:/never-read"}]
    for name, (_, role) in SUITES.items():
        suites.append({"name": name, "uri": f"file:/{name}", "scoring": "OPTION_LIKELIHOOD", "development": role})
    asked = {
        "model": TUNED, "baseModel": BASE, "development": True,
        "evaluation": {
            "suites": suites, "gates": [{"suite": "holdout", "atLeast": 0.5}],
            "engine": {"dtype": "float32", "maxModelLen": 512},
        },
    }  # fmt: skip
    message = schema.parse(pb.EvaluationJobSpec, asked)
    schema.apply_defaults(message)
    return schema.to_mapping(message)


def score(root: Path, name: str, *, tuned: Path, earlier: Path | None = None) -> dict[str, Any]:
    """One dose's evaluation, and which engines it started."""
    started: list[str] = []

    @contextlib.asynccontextmanager
    async def engine(run: Any, model: str, digest: str) -> AsyncIterator[tuple[Any, Any]]:
        started.append(model)
        run.engines[model] = EngineConfig(dtype="float32", max_model_len=512, engine_version="in-process")
        yield SimpleNamespace(config=run.engines[model]), InProcess(run.ctx.input(digest))

    Measurement._engine = engine  # type: ignore[assignment]
    folders = {TUNED: tuned, BASE: root / "base", "suites": root / "suites", "earlier": earlier}
    context: Any = SimpleNamespace(
        spec={
            "spec": spec(), "suites": "suites", "digests": dict.fromkeys(SUITES, "d"),
            "reuse": dict.fromkeys(SUITES, "earlier") if earlier else {},
        },
        input=lambda digest: folders[digest], output=root / name, workdir=root / f"{name}-work",
        progress=lambda *_: None, log=lambda *_, **__: None, checkpoint=lambda: None, stopping=threading.Event(),
    )  # fmt: skip
    context.output.mkdir()
    context.workdir.mkdir()
    summary = worker.evaluate(context).summary
    files = sorted(path.name for path in context.output.iterdir())
    return {"started": started, "files": files, **summary, "suites": sorted(summary["suites"])}


def main() -> None:
    root = Path(sys.argv[1])
    (root / "suites").mkdir()
    for name, (file, _) in SUITES.items():
        lines = (EXAMPLES / f"{file}.jsonl").read_text().split("\n")[:6]
        (root / "suites" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    shutil.copytree(root / "base", root / "tuned")
    torch.manual_seed(0)
    weights = {k: w + 0.02 * torch.randn_like(w) for k, w in load_file(root / "base/model.safetensors").items()}
    save_file(weights, root / "tuned/model.safetensors", metadata={"format": "pt"})
    first = score(root, "first", tuned=root / "tuned")
    second = score(root, "second", tuned=root / "tuned", earlier=root / "first")
    itself = score(root, "itself", tuned=root / "base", earlier=root / "first")
    print(json.dumps({"first": first, "second": second, "itself": itself}))


if __name__ == "__main__":
    main()
