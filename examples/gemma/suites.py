"""Small draws of public benchmarks and of our own suites: some choose a dose, others gate it, and none does both.

    python -m examples.gemma.suites DATA --out build/gemma-suites

DATA holds `eval_general/hellaswag*.jsonl`, `eval_general/TruthfulQA.csv` and `safety/xstest_prompts.csv` as published;
the open-book questions are those of `examples/suites`.
Items are drawn in the order of the SHA-256 of their row, so a draw is the same everywhere and no topic comes first.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

OURS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Draw:
    """Rows `start` to `start + count`, in drawn order, of the file that fits `pattern` in `folder` (None: DATA)."""

    name: str
    pattern: str
    start: int
    count: int
    folder: Path | None = None


DRAWS = (
    Draw("open-book.jsonl", "suites/open-book.jsonl", 0, 60, OURS),
    Draw("open-book-development.jsonl", "suites/open-book-development.jsonl", 0, 40, OURS),
    Draw("hellaswag.jsonl", "eval_general/hellaswag*.jsonl", 0, 40),
    Draw("hellaswag-development.jsonl", "eval_general/hellaswag*.jsonl", 40, 20),
    Draw("truthfulqa.csv", "eval_general/TruthfulQA.csv", 0, 40),
    Draw("truthfulqa-development.csv", "eval_general/TruthfulQA.csv", 40, 20),
    Draw("xstest.csv", "safety/xstest_prompts.csv", 0, 12),
)


def draw(data: Path, out: Path) -> list[Path]:
    """Write every draw into `out` and return the files.

    Raises `SystemExit` where a published file is absent or too short.
    """
    out.mkdir(parents=True, exist_ok=True)
    return [_write(one, data, out) for one in DRAWS]


def _write(one: Draw, data: Path, out: Path) -> Path:
    folder = one.folder or data
    published = sorted(folder.glob(one.pattern))
    if not published:
        raise SystemExit(f"{folder} has no {one.pattern}: give the folder that holds the published files")
    header, rows = _rows(published[0])
    drawn = sorted(rows, key=lambda row: hashlib.sha256(row.encode()).digest())[one.start : one.start + one.count]
    if len(drawn) < one.count:
        raise SystemExit(f"{published[0]} has {len(rows)} rows; {one.name} needs {one.start + one.count}")
    target = out / one.name
    target.write_text(header + "".join(drawn), encoding="utf-8")
    return target


def _rows(path: Path) -> tuple[str, list[str]]:
    """The header (empty for JSON lines) and the rows, each with its line end; a row of CSV may hold line ends."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".csv":
        return "", [f"{line}\n" for line in text.splitlines() if line.strip()]
    header, *rows = [_as_csv(row) for row in csv.reader(io.StringIO(text)) if row]
    return header, rows


def _as_csv(row: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row)
    return line.getvalue()


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m examples.gemma.suites", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    for path in draw(asked.data, asked.out):
        print(path)  # noqa: T201 - what a shell goes on with


if __name__ == "__main__":
    main()
