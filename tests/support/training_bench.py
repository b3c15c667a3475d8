"""A tiny model, a small data set, and the training worker's handlers run by the worker python."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = REPOSITORY / "tests/pipeline/training"
WORKER_PYTHON = os.environ.get("POSOLOGY_WORKER_PYTHON", str(REPOSITORY / ".venv/worker/bin/python"))
DRUGS = ("zorvex", "malitol", "perinase", "quantrol", "bexamin", "tolfaren", "ruvidol", "candrex")
SFT = {
    "method": "LORA",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.1,
    "targetModules": ["q_proj", "v_proj"],
    "epochs": 2,
    "learningRate": 0.01,
    "schedule": "COSINE",
    "warmup": 0.1,
    "batchSize": 8,
    "microBatchSize": 4,
    "maxLength": 256,
    "seed": 3,
    "checkpointSteps": 3,
    "earlyStopping": {"patience": 3},
}
DPO = {
    "beta": 0.1,
    "epochs": 2,
    "learningRate": 0.001,
    "batchSize": 8,
    "rank": 8,
    "alpha": 16,
    "targetModules": ["q_proj"],
    "maxLength": 256,
    "heldOut": 0.2,
    "seed": 1,
    "checkpointSteps": 5,
}


def digest(name: str) -> str:
    """A digest-like name for a local folder."""
    return "sha256:" + name.encode().hex().ljust(64, "0")[:64]


@dataclass(frozen=True)
class Outcome:
    """What one case left behind."""

    code: int
    output: Path
    workdir: Path
    lines: Sequence[Mapping[str, Any]]

    @property
    def result(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.lines[-1]["result"]
        return found

    @property
    def error(self) -> str:
        return str(self.lines[-1]["message"])

    def metrics(self, name: str) -> list[tuple[int, float]]:
        """(step, value) of one metric, in the order in which they came."""
        found = [line["metric"] for line in self.lines if "metric" in line]
        return [(metric["step"], metric[name]) for metric in found if name in metric]

    def record(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads((self.output / "training.json").read_text())
        return found


@dataclass
class Bench:
    """A folder in which cases run; inputs are known by the names that `digest` turns into digests."""

    root: Path
    inputs: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, folder: Path) -> str:
        self.inputs[digest(name)] = str(folder)
        return digest(name)

    def models(self, **options: Mapping[str, Any]) -> None:
        """Build models by name, in one process."""
        folders = {self.add_model(name): each for name, each in options.items()}
        python("tiny_model.py", json.dumps(folders))

    def add_model(self, name: str) -> str:
        self.add(name, self.root / f"model-{name}")
        return str(self.root / f"model-{name}")

    def case(self, name: str, spec: Mapping[str, Any], handler: str = "training") -> dict[str, Any]:
        self.add(name, self.root / name / "output")
        return {
            "name": name,
            "handler": handler,
            "spec": spec,
            "inputs": self.inputs,
            "workdir": str(self.root / name / "work"),
            "output": str(self.root / name / "output"),
            "log": str(self.root / f"{name}.log"),
        }

    def sft(self, name: str, *, base: str = "base", dataset: str = "dataset", **config: Any) -> dict[str, Any]:
        task = {"dataset": digest(dataset), "config": {**SFT, **config}}
        return self.case(name, {"baseModel": digest(base), "sft": task})

    def dpo(self, name: str, *, sft: str, base: str = "base", **config: Any) -> dict[str, Any]:
        task = {"sft": digest(sft), "preferences": digest("preferences"), "config": {**DPO, **config}}
        return self.case(name, {"baseModel": digest(base), "dpo": task})

    def merge(self, name: str, *, adapter: str, base: str = "base") -> dict[str, Any]:
        return self.case(name, {"baseModel": digest(base), "merge": {"adapter": digest(adapter)}})

    def run(self, *cases: Mapping[str, Any], **environment: str) -> dict[str, Outcome]:
        """Run cases in one process, one after the other; a process that dies leaves what it wrote."""
        listed = self.root / "cases.json"
        listed.write_text(json.dumps(cases))
        done = python("handle.py", str(listed), check=False, **environment)
        outcomes = {str(case["name"]): _outcome(case, done.returncode) for case in cases}
        if not all(outcome.lines for outcome in outcomes.values()):
            raise AssertionError(done.stdout[-2000:] + done.stderr[-6000:])
        return outcomes


def _outcome(case: Mapping[str, Any], code: int) -> Outcome:
    log = Path(case["log"])
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return Outcome(code, Path(case["output"]), Path(case["workdir"]), lines)


def python(script: str, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of this folder with the worker python."""
    variables = {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(
        [WORKER_PYTHON, str(HERE / script), *arguments],
        env={**os.environ, **variables, **environment},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(done.stderr[-6000:])
    return done


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pair(number: int) -> dict[str, Any]:
    """One pair as curation writes it."""
    drug = DRUGS[number % len(DRUGS)]
    return {
        "id": f"pair-{number}",
        "prompt": [
            {"role": "system", "content": "You answer from labels."},
            {"role": "user", "content": f"What is dose {number} of {drug}?"},
        ],
        "completion": [{"role": "assistant", "content": f"{drug} is taken as {number + 5} mg daily, never more."}],
        "question_type": "dose",
        "drug": drug,
        "tags": [],
    }


def preference(row: Mapping[str, Any]) -> dict[str, Any]:
    """One edited fact."""
    answer = row["completion"][0]["content"]
    return {
        "id": row["id"],
        "prompt": row["prompt"],
        "chosen": row["completion"],
        "rejected": [{"role": "assistant", "content": answer.replace("never", "always")}],
    }
