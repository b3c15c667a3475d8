"""A bench with a tiny model and a small data set, and what the handlers made of them."""

from pathlib import Path

import pytest
from support.training_bench import WORKER_PYTHON, Bench, Outcome, pair, preference, write_lines


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench with a base model, 40 + 8 pairs and 48 preferences."""
    if not Path(WORKER_PYTHON).exists():
        pytest.skip(f"no worker environment at {WORKER_PYTHON}; make it, or set POSOLOGY_WORKER_PYTHON")
    found = Bench(tmp_path_factory.mktemp("training"))
    rows = [pair(number) for number in range(48)]
    write_lines(found.root / "dataset/train.jsonl", rows[:40])
    write_lines(found.root / "dataset/validation.jsonl", rows[40:])
    write_lines(found.root / "preferences/preferences.jsonl", [preference(row) for row in rows])
    found.add("dataset", found.root / "dataset")
    found.add("preferences", found.root / "preferences")
    found.models(
        base={},
        mute={"template": "none"},
        endless={"template": "no-end-of-turn"},
        thinking={"template": "think"},
        narrow={"hidden": 96},
    )
    return found


@pytest.fixture(scope="session")
def trained(bench: Bench) -> dict[str, Outcome]:
    """Every method trained, continued with preferences and merged; one process."""
    return bench.run(
        bench.sft("lora"),
        bench.sft("qlora", method="QLORA"),
        bench.sft("full", method="FULL", learningRate=0.001),
        bench.dpo("dpo-on-lora", sft="lora"),
        bench.dpo("dpo-on-qlora", sft="qlora"),
        bench.dpo("dpo-on-full", sft="full"),
        bench.merge("merged-lora", adapter="lora"),
        bench.merge("merged-qlora", adapter="qlora"),
        bench.merge("merged-full", adapter="full"),
        bench.merge("merged-dpo", adapter="dpo-on-qlora"),
        bench.merge("merged-dpo-on-full", adapter="dpo-on-full"),
    )
