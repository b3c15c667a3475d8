"""Pairs that people wrote beside pairs that the embedded teacher makes, at equal n.

python benchmarks/expert_against_generated.py DATA [N]

DATA has `pharm_qa/medquad_subset.jsonl.gz` (MedQuAD: questions and answers from pages of the NIH) and labels.
What it prints is what `posology dataset compare` prints of two runs.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from label_split import labels_of

from posology.client.set_comparison import compare_rows, table
from posology.curation.dataset.build import build
from posology.curation.domain import Corpus, Pair
from posology.curation.recipe import DuplicateRecipe, FilterRecipe, Recipe, Source, Style, TeacherRecipe
from posology.curation.screens.screening import ExactScreen
from posology.curation.sources import Document
from posology.curation.sources.jsonl import read_jsonl
from posology.curation.teachers.extractive import ExtractiveTeacher


def built(corpus: Corpus, n: int) -> list[dict[str, Any]]:
    """`n` rows as a run would accept them: the usual filters, exact copies dropped, a tenth held out."""
    recipe = Recipe(
        sources=(Source("file:///x", "JSONL"),),
        teacher=TeacherRecipe("", "", Style.SENTENCES, (), 60, 0.1),
        pairs=n,
        validation=n // 10,
        filters=FilterRecipe(20, True, True, True),
        duplicates=DuplicateRecipe(True, 0, 0),
        seed=0,
    )
    made = build(recipe, corpus, ExtractiveTeacher(), [ExactScreen()], (), progress=lambda *_: None)
    return [pair.as_json() for pair in (*made.train, *made.validation)]


def expert_pairs(data: Path, most: int) -> Sequence[Pair]:
    """The first pairs of MedQuAD, without the columns that would tell drugs apart: as a team would write them."""
    with gzip.open(data / "pharm_qa" / "medquad_subset.jsonl.gz", "rt", encoding="utf-8") as lines:
        listed = [json.loads(line) for _, line in zip(range(most), lines, strict=False)]
    text = "".join(json.dumps({"prompt": row["question"], "completion": row["answer"]}) + "\n" for row in listed)
    return [pair for parsed in read_jsonl(Document("expert.jsonl", text.encode())) for pair in parsed.pairs]


def main(data: Path, n: int) -> None:
    """Print the table."""
    sections = [section for _, listed in labels_of(data, sealed=False) for section in listed]
    expert = built(Corpus(pairs=list(expert_pairs(data, 5 * n))), n)
    generated = built(Corpus(sections=sections), 4 * n)
    figures = compare_rows([expert, generated], [{}, {}])
    for name, one, other in [("figure", "expert", "generated"), *table(figures)]:
        sys.stdout.write(f"{name:<28}{one:>12}{other:>12}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)
