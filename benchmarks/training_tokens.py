"""Tokens per second of our SFT against a plain TRL script: same model, rows, adapter, batch and number of steps.

    python benchmarks/training_tokens.py [--steps 20] [--threads 2] [--rounds 2]

The model is the size of the shipped nano base, randomly initialised. The plain script runs twice: with TRL's
defaults as far as a CPU takes them (bf16 autocast, gradient checkpointing), and with both turned off, which one has
to know. Ours decides by the hardware, streams every step and seals a checkpoint; its rate counts the time in optimiser
steps; over all of `train()` it has one evaluation and one sealed checkpoint more than the plain script.
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
    "plain TRL, fp32, no recomputation": {"bf16": False, "gradient_checkpointing": False},
    "plain TRL, its defaults": {},
}


def main() -> None:
    """Print one line per way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        case = prepared(Path(scratch), steps=asked.steps)
        print(
            f"{asked.steps} steps of {case['batch_size']} rows, {asked.threads} threads, best of {asked.rounds} rounds"
        )
        ours, whole, plain = 0.0, 0.0, dict.fromkeys(PLAIN, 0.0)
        for number in range(asked.rounds):  # one after the other, so that a busy moment hits all alike
            found = run("_training_ours.py", {**case, "output": f"{scratch}/ours-{number}"}, threads=asked.threads)
            ours, seconds = max(ours, found["rate"]), found["seconds"]
            for name, options in PLAIN.items():
                asking = {**case, "output": f"{scratch}/plain", "options": options}
                found = run("_training_plain.py", asking, threads=asked.threads)
                plain[name] = max(plain[name], found["tokens"] / found["seconds"])
            whole = max(whole, found["tokens"] / seconds)
    print(f"{'Posology, in steps':36} {ours:>9,.0f} tokens/s")
    print(f"{'Posology, all of train()':36} {whole:>9,.0f} tokens/s")
    for name, rate in plain.items():
        print(f"{name:36} {rate:>9,.0f} tokens/s   Posology {ours / rate:.2f}x in steps, {whole / rate:.2f}x in all")


def prepared(folder: Path, *, steps: int) -> dict[str, Any]:
    """A model and 1,000 rows of mixed length on disk."""
    chance = random.Random(0)
    rows = [row(chance) for _ in range(1000)]
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
    """An excerpt of 8 to 24 words, a question and a short answer: 80 to 220 tokens."""
    excerpt = " ".join(chance.choices(WORDS, k=chance.randint(8, 24)))
    answer = " ".join(chance.choices(WORDS, k=chance.randint(3, 8)))
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
    pinned = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **pinned}
    done = subprocess.run([WORKER_PYTHON, str(script), argument], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    return done.stdout


if __name__ == "__main__":
    main()
