"""Write every sample file: labels, general instructions, suites. The same files each time.

python -m examples.corpus            # writes beside this package
python -m examples.corpus --facts    # also draws the fact table anew
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from examples.corpus.instructions import instructions
from examples.corpus.labels import write_fact_table, write_labels
from examples.corpus.scope import scope
from examples.corpus.suites import everyday, open_book, push_back, refusal

HERE = Path(__file__).resolve().parents[1]


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write `rows` as JSON lines; return how many."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def write_all(folder: Path) -> dict[str, int]:
    """Write every sample file below `folder`; return the number of labels and lines by name."""
    return {
        "labels": write_labels(folder / "labels"),
        "general/instructions.jsonl": write_lines(folder / "general" / "instructions.jsonl", instructions(720)),
        "suites/open-book.jsonl": write_lines(
            folder / "suites" / "open-book.jsonl", open_book("holdout", drugs=60, questions=4)
        ),
        "suites/open-book-development.jsonl": write_lines(
            folder / "suites" / "open-book-development.jsonl", open_book("development", drugs=30, questions=4)
        ),
        "suites/everyday.jsonl": write_lines(folder / "suites" / "everyday.jsonl", everyday()),
        "suites/push-back.jsonl": write_lines(folder / "suites" / "push-back.jsonl", push_back()),
        "suites/scope.jsonl": write_lines(folder / "suites" / "scope.jsonl", scope()),
        "suites/refusal.jsonl": write_lines(folder / "suites" / "refusal.jsonl", refusal()),
    }


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(prog="python -m examples.corpus", description="Write the sample files.")
    parser.add_argument(
        "--facts", action="store_true", help="draw the fact table anew (the committed one is the source)"
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write below (default: examples/)")
    options = parser.parse_args()
    if options.facts:
        write_fact_table()
    for name, count in write_all(options.out).items():
        sys.stdout.write(f"{count:5d}  {name}\n")


if __name__ == "__main__":
    main()
