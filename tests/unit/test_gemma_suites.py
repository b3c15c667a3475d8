"""The draws of public benchmarks that the sample of a real model is chosen and gated by."""

import csv
import json
from pathlib import Path

import pytest
from examples.gemma.suites import DRAWS, draw


def published(folder: Path, *, hellaswag: int = 300) -> Path:
    """A data folder with files of the published forms; cells of TruthfulQA hold line ends, as published ones may."""
    for name in ("eval_general", "safety"):
        (folder / name).mkdir(parents=True)
    rows = [json.dumps({"ctx": f"case {n}", "endings": list("abcd"), "label": 1}) for n in range(hellaswag)]
    (folder / "eval_general" / "hellaswag_val.jsonl").write_text("\n".join(rows) + "\n")
    with (folder / "eval_general" / "TruthfulQA.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Question", "Best Answer", "Incorrect Answers"])
        writer.writerows([f"Is it {n}?\nSay.", "Yes, it is", "No; Never"] for n in range(300))
    with (folder / "safety" / "xstest_prompts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "prompt"], *([n, f"prompt {n}"] for n in range(100))])
    return folder


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file)) if path.suffix == ".csv" else [[line] for line in file]


def test_what_chooses_a_dose_shares_no_row_with_what_gates_it(tmp_path: Path) -> None:
    draw(published(tmp_path / "data"), tmp_path / "out")
    counts = {one.name: one.count for one in DRAWS}
    for name in ("open-book.jsonl", "hellaswag.jsonl", "truthfulqa.csv"):
        stem, form = name.split(".")
        header = form == "csv"
        gating = {tuple(row) for row in rows_of(tmp_path / "out" / name)[header:]}
        choosing = {tuple(row) for row in rows_of(tmp_path / "out" / f"{stem}-development.{form}")[header:]}
        assert (len(gating), len(choosing)) == (counts[name], counts[f"{stem}-development.{form}"])
        assert not gating & choosing


def test_a_draw_is_the_same_whatever_order_rows_were_published_in(tmp_path: Path) -> None:
    data = published(tmp_path / "data")
    first = [path.read_bytes() for path in draw(data, tmp_path / "first")]
    path = data / "eval_general" / "hellaswag_val.jsonl"
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    assert [path.read_bytes() for path in draw(data, tmp_path / "second")] == first


def test_a_folder_without_a_benchmark_is_told_which_one(tmp_path: Path) -> None:
    data = published(tmp_path / "data")
    (data / "safety" / "xstest_prompts.csv").unlink()
    with pytest.raises(SystemExit, match=r"xstest_prompts\.csv"):
        draw(data, tmp_path / "out")


def test_too_few_rows_are_refused_before_a_dose_is_chosen_by_them(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has 50 rows; hellaswag-development\.jsonl needs 60"):
        draw(published(tmp_path / "data", hellaswag=50), tmp_path / "out")
