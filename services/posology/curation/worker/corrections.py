"""The job `dataset` for a corrected version: a data set and corrections in, a data set out."""

import json
import shutil
from pathlib import Path
from typing import Any

from posology.core.jobs.worker.runtime import JobContext, Result
from posology.curation.dataset.card import correction_parameters
from posology.curation.dataset.corrections import FILE, check_all_known, check_distinct, correct, read_corrections
from posology.curation.domain import pair_from_json
from posology.curation.recipe import Recipe
from posology.curation.sources.location import Limits, lines
from posology.curation.worker.files import read_lines, write_json, write_lines

_ROWS = ("train.jsonl", "validation.jsonl")


def make_version(job: JobContext, recipe: Recipe, limits: Limits) -> Result:
    """Rows keep their places; all other files are the base's, with what was changed noted beside them."""
    base = job.input(recipe.base)
    corrections = read_corrections(lines(recipe.corrections, limits))
    before = {name: [pair_from_json(line) for line in read_lines(base / name)] for name in _ROWS}
    check_all_known(corrections, [row for rows in before.values() for row in rows])
    made = {name: correct(rows, corrections) for name, rows in before.items()}
    check_distinct(row for one in made.values() for row in one.rows)
    for file in base.iterdir():
        if file.is_file() and file.name not in _ROWS:
            shutil.copyfile(file, job.output / file.name)
    for name, one in made.items():
        write_lines(job.output / name, (row.as_json() for row in one.rows))
    changes = [change for one in made.values() for change in one.changes]
    drops = [drop.as_json() for one in made.values() for drop in one.drops]
    write_lines(job.output / FILE, [*read_lines(base / FILE), *changes])
    write_lines(job.output / "drops.jsonl", [*read_lines(base / "drops.jsonl"), *drops])
    counts = {"corrected": len(changes) - len(drops), "dropped": len(drops)}
    write_json(job.output / "card.json", _card(base, counts))
    train, validation = (len(made[name].rows) for name in _ROWS)
    job.progress(len(corrections), len(corrections), "done")
    summary = {"train": train, "validation": validation, **counts}
    return Result("dataset", (recipe.base,), correction_parameters(), summary)


def _card(base: Path, counts: dict[str, int]) -> dict[str, Any]:
    """The base's card; what it counts is of the base, so the version says what became of it."""
    file = base / "card.json"
    card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return card | {"version": {**counts, "of": card.get("version")}}
