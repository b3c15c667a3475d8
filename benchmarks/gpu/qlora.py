"""QLoRA on one GPU: tokens per second and peak memory beside a plain TRL script, and beside the plan's estimate.

    python benchmarks/gpu/qlora.py [--shape 8b] [--steps 12] [--minutes 9]

One command of under ten minutes: it writes a Llama of the shape with random weights, trains r=16 on all linear modules
by our handler and by TRL, and prints a table and a line of JSON. It reads nothing from a network. `--shape tiny` runs
on a CPU, where memory is the process's peak and shows nothing of a GPU.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PATHS = (REPOSITORY / "services", HERE.parent)
WORKER_PYTHON = os.environ.get("POSOLOGY_WORKER_PYTHON", str(REPOSITORY / ".venv/worker/bin/python"))
WORDS = ("take", "the", "dose", "with", "food", "once", "daily", "adults", "reduced", "renal", "function", "rash")
SHAPES: dict[str, dict[str, int]] = {
    "8b": {"hidden": 4096, "intermediate": 14336, "layers": 32, "heads": 32, "kv": 8, "vocabulary": 128256},
    "1b": {"hidden": 2048, "intermediate": 8192, "layers": 16, "heads": 32, "kv": 8, "vocabulary": 128256},
    "tiny": {"hidden": 128, "intermediate": 256, "layers": 2, "heads": 4, "kv": 2, "vocabulary": 512},
}
ROWS = {"8b": (512, 420), "1b": (512, 420), "tiny": (64, 40)}
"""Rows, and words of an excerpt."""


def main() -> None:
    """Build, train twice, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=9.0, help="give up what has not ended by then")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        case = prepared(folder, shape=asked.shape, steps=asked.steps)
        child("_model.py", {"folder": case["model"], **SHAPES[asked.shape]}, until=until)
        results = {way: child("_train.py", {**case, "way": way, "output": f"{scratch}/{way}"}, until=until)
                   for way in ("posology", "trl")}  # fmt: skip
    print(table(results))
    print(json.dumps({"shape": asked.shape, "steps": asked.steps, **results}))


def prepared(folder: Path, *, shape: str, steps: int) -> dict[str, Any]:
    """Rows of random words: nothing can be learned from them, which costs the same."""
    chance = random.Random(0)
    count, words = ROWS[shape]
    rows = [
        {
            "prompt": [
                {"role": "user", "content": " ".join(chance.choices(WORDS, k=chance.randint(words // 2, words)))}
            ],
            "completion": [{"role": "assistant", "content": " ".join(chance.choices(WORDS, k=12))}],
        }
        for _ in range(count)
    ]
    for name, part in (("train", rows), ("validation", rows[:4])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return {
        "model": str(folder / "model"),
        "data": str(folder / "train.jsonl"),
        "steps": steps,
        "batch_size": 8,
        "max_length": 2048,
    }


def child(script: str, case: dict[str, Any], *, until: float) -> dict[str, Any]:
    """What a script printed after RESULT; one that fails or does not end is named."""
    done = subprocess.run(
        [WORKER_PYTHON, str(HERE / script), json.dumps(case)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(map(str, PATHS))},
        capture_output=True,
        text=True,
        timeout=max(1.0, until - time.monotonic()),
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    if done.returncode or line is None:
        sys.exit(f"{script} {case.get('way', '')} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT"))
    return result


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: one row for each way, and the plan's estimate beside our peak."""
    ours, plain = results["posology"], results["trl"]
    lines = [
        f"QLoRA r=16 on {ours['device']}, {ours['parameters']:,} parameters, rows of {ours['mean']:.0f} tokens",
        "",
        "| | tokens/s | peak GiB | plan GiB |",
        "|---|---|---|---|",
        f"| Posology | {ours['rate']:,.0f} | {ours['peak_gib']:.2f} | {ours['planned_gib']:.2f} |",
        f"| TRL's script | {plain['rate']:,.0f} | {plain['peak_gib']:.2f} | |",
        "",
        f"Posology trains at {ours['rate'] / plain['rate']:.2f}x of the script.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
