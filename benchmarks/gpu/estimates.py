"""The plan's memory against what a GPU then holds: one row for each way to train.

    python benchmarks/gpu/estimates.py [--shape 1b] [--steps 4] [--minutes 9] [--only qlora,full]

One command of under ten minutes: it writes a Llama of the shape with random weights, trains a few steps in each way by
our handler, and prints estimate and peak side by side, with a line of JSON. It reads nothing from a network. `--shape
tiny` tries it on a CPU, where the peak is that of the process (its libraries included) and shows nothing of a GPU.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from qlora import SHAPES, child, prepared

WAYS: dict[str, dict[str, Any]] = {
    "qlora": {"method": "QLORA"},
    "qlora-dora": {"method": "QLORA", "lora": {"use_dora": True}},
    "lora": {"method": "LORA"},
    "lora-r64": {"method": "LORA", "lora": {"rank": 64, "alpha": 128}},
    "lora-packed": {"method": "LORA", "packing": True},
    "full": {"method": "FULL"},
    "full-8bit": {"method": "FULL", "optim": "adamw_8bit"},
}
"""What is trained: the method, and what differs from the recipe of qlora.py."""


def main() -> None:
    """Build one model, train it in each way, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=9.0, help="leave out what has not begun by then")
    parser.add_argument("--only", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    asked = parser.parse_args()
    ways = asked.only.split(",")
    if unknown := sorted(set(ways) - WAYS.keys()):
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(WAYS)}")
    until = time.monotonic() + 60 * asked.minutes
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        case = prepared(Path(scratch), shape=asked.shape, steps=asked.steps)
        child("_model.py", {"folder": case["model"], **SHAPES[asked.shape]}, until=until)
        for way in ways:
            try:
                given = {**case, **WAYS[way], "way": "posology", "output": f"{scratch}/{way}"}
                results[way] = child("_train.py", given, until=until)
            except subprocess.TimeoutExpired:
                results[way] = {"left_out": "no time left"}
            except SystemExit as error:  # the others are worth as much without it
                results[way] = {"left_out": str(error).strip().splitlines()[-1][:200]}
            print(f"{way}: {json.dumps(results[way])}", file=sys.stderr)
    print(table(results))
    print(json.dumps({"shape": asked.shape, "steps": asked.steps, **results}))


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: one row for each way."""
    done = [each for each in results.values() if "left_out" not in each]
    lines = [
        f"{done[0]['parameters']:,} parameters on {done[0]['device']}" if done else "nothing was trained",
        "",
        "| way | plan GiB | peak GiB | peak / plan | rows at once | tokens/s |",
        "|---|---|---|---|---|---|",
    ]
    for way, each in results.items():
        if "left_out" in each:
            lines.append(f"| {way} | {each['left_out']} | | | | |")
            continue
        ratio = each["peak_gib"] / each["planned_gib"]
        lines.append(
            f"| {way} | {each['planned_gib']:.2f} | {each['peak_gib']:.2f} | {ratio:.2f} | {each['micro']} | "
            f"{each['rate']:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
