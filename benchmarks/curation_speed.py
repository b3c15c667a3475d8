"""CPU seconds to teach, filter and screen 10,000 pairs of the shared labels with every screen on.

python benchmarks/curation_speed.py DATA [PAIRS]      # needs the worker environment (MiniLM)
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

from label_split import labels_of

from posology.curation.dataset.candidates import candidates, tasks
from posology.curation.domain import Drop, Pair
from posology.curation.recipe import FilterRecipe
from posology.curation.screens.filters import Context, sift, steps
from posology.curation.screens.screening import ExactScreen, Screen, through
from posology.curation.screens.semantic import SemanticScreen
from posology.curation.teachers.extractive import ExtractiveTeacher
from posology.curation.worker.embedding import Embedder
from posology.curation.worker.minhash import MinHashScreen

BATCH = 1024


def main(data: Path, wanted: int) -> None:
    """Print the seconds of each stage and what was dropped."""
    sections = [section for _, found in labels_of(data, sealed=False) for section in found]
    seconds: defaultdict[str, float] = defaultdict(float)
    embedded = 0
    embedder = Embedder()

    def embed(texts):  # type: ignore[no-untyped-def]  # counts what is embedded
        nonlocal embedded
        embedded += len(texts)
        started = time.process_time()
        vectors = embedder(texts)
        seconds["embed"] += time.process_time() - started
        return vectors

    labels = {s.id: s.set_id or s.source for s in sections}
    drugs = frozenset(word for s in sections for word in s.drug.split() if len(word) > 3)
    screens: list[Screen] = [ExactScreen(), MinHashScreen(0.8, drugs=drugs), SemanticScreen(0.92, embed, drugs, labels)]
    texts = {s.id: s.text for s in sections}
    chosen = steps(FilterRecipe(80, True, True, True))
    drops: list[Drop] = []
    started = time.process_time()
    stream = candidates(ExtractiveTeacher(), [], tasks(sections, seed=0), at_once=6, drops=drops)
    kept: list[Pair] = []
    batch: list[Pair] = []
    for pair in stream:
        batch.append(pair)
        if len(batch) == BATCH:
            seconds["teach"] += time.process_time() - started
            started = time.process_time()
            passed = [p for p in batch if sift(p, Context(texts.get(p.section, "")), chosen) is None]
            seconds["filter"] += time.process_time() - started
            started = time.process_time()
            kept.extend(through(screens, passed).kept)
            seconds["screen"] += time.process_time() - started
            batch, started = [], time.process_time()
            if len(kept) >= wanted:
                break
    seconds["screen"] -= seconds["embed"]
    total = sum(seconds.values())
    parts = ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items())
    sys.stdout.write(f"{len(kept)} pairs kept, {embedded} embedded, {total:.1f} CPU s ({parts})\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
