"""Tokens per second of our SFT against a plain TRL script: same model, rows, adapter, batch and number of steps.

    python benchmarks/training_tokens.py [--steps 20] [--threads 2]

The model is the size of the shipped nano base, randomly initialised. The plain script runs twice: with TRL's
defaults as far as a CPU takes them (bf16 autocast, gradient checkpointing), and with both turned off, which one has
to know. Ours decides by the hardware, streams every step and seals a checkpoint; its rate counts the time in optimiser
steps, the plain one's all of `train()`, so the whole of ours is shown beside it.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
WORKER_PYTHON = os.environ.get("POSOLOGY_WORKER_PYTHON", str(REPOSITORY / ".venv/worker/bin/python"))
WORDS = ("take", "the", "dose", "with", "food", "once", "daily", "adults", "reduced", "renal", "function", "rash")
PLAIN = {
    "plain TRL, its defaults": {},
    "plain TRL, fp32, no recomputation": {"bf16": False, "gradient_checkpointing": False},
}


def main() -> None:
    """Print one line per way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        case = prepared(Path(scratch), steps=asked.steps)
        ours = run("_training_ours.py", {**case, "output": f"{scratch}/ours"}, threads=asked.threads)
        plain = {
            name: run(
                "_training_plain.py", {**case, "output": f"{scratch}/plain", "options": options}, threads=asked.threads
            )
            for name, options in PLAIN.items()
        }
    tokens = next(iter(plain.values()))["tokens"]
    print(f"{asked.steps} steps of {case['batch_size']} rows, {tokens:,.0f} tokens, {asked.threads} threads")
    whole = tokens / ours["seconds"]
    print(f"{'Posology':36} {ours['rate']:>9,.0f} tokens/s in steps, {whole:>9,.0f} with evaluation and checkpoint")
    for name, found in plain.items():
        rate = found["tokens"] / found["seconds"]
        print(f"{name:36} {rate:>9,.0f} tokens/s   Posology: {ours['rate'] / rate:.2f}x, whole {whole / rate:.2f}x")


def prepared(folder: Path, *, steps: int) -> dict[str, Any]:
    """A model and 2,000 rows of mixed length on disk."""
    chance = random.Random(0)
    rows = [row(chance) for _ in range(2000)]
    for name, part in (("train", rows), ("validation", rows[:32])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in part))
    options = {"hidden": 128, "layers": 4, "heads": 4, "intermediate": 384, "vocabulary": 1024}
    build = REPOSITORY / "tests/pipeline/training/tiny_model.py"
    worker(build, json.dumps({str(folder / "model"): options}), threads=1)
    return {
        "model": str(folder / "model"),
        "data": str(folder / "train.jsonl"),
        "steps": steps,
        "batch_size": 32,
        "max_length": 512,
        "learning_rate": 3e-3,
    }


def row(chance: random.Random) -> dict[str, Any]:
    """An excerpt of 20 to 60 words, a question and a short answer."""
    excerpt = " ".join(chance.choices(WORDS, k=chance.randint(20, 60)))
    answer = " ".join(chance.choices(WORDS, k=chance.randint(4, 16)))
    return {
        "prompt": [{"role": "user", "content": f"{excerpt}\nWhat is the dose?"}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def run(script: str, case: dict[str, Any], *, threads: int) -> dict[str, float]:
    """What a script printed after RESULT."""
    printed = worker(HERE / script, json.dumps(case), threads=threads)
    line = next(line for line in printed.splitlines() if line.startswith("RESULT"))
    found: dict[str, float] = json.loads(line.removeprefix("RESULT"))
    return found


def worker(script: Path, argument: str, *, threads: int) -> str:
    """Run a script with the worker python; its error output is shown when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([WORKER_PYTHON, str(script), argument], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    return done.stdout


if __name__ == "__main__":
    main()
