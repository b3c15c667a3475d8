"""Models of many families go all the way: preflight, two steps, merge, and weights in the base's own form."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.training_bench import SFT, Bench, Outcome, digest, pair, python, write_lines

from posology.training.planning.shapes import read_headers

pytestmark = [pytest.mark.slow, pytest.mark.qualify]
FAMILIES = {
    "llama3": ["q_proj", "v_proj"],
    "gemma2": ["q_proj", "v_proj"],
    "gemma3": ["all-linear"],
    "qwen3": ["q_proj", "down_proj"],
    "mistral": ["q_proj", "v_proj"],
    "phi3": ["qkv_proj"],
    "gpt-oss": ["q_proj", "o_proj"],
}
"""Each with the modules that its recipe adapts."""
IMPORTED = ("gemma2", "gpt-oss")
"""Those that are imported first: each import renders its template in processes of its own, which takes seconds."""
SHORT: dict[str, Any] = {"maxSteps": 2, "checkpointSteps": 2, "earlyStopping": None}


def without_system(number: int) -> dict[str, Any]:
    row = pair(number)
    return {**row, "prompt": row["prompt"][1:]}


@pytest.fixture(scope="module")
def grown(bench: Bench) -> dict[str, Outcome]:
    """Every family through every stage, one process."""
    rows = [without_system(number) for number in range(24)]
    write_lines(bench.root / "plain/train.jsonl", rows[:16])
    write_lines(bench.root / "plain/validation.jsonl", rows[16:])
    bench.add("plain", bench.root / "plain")
    python("family_models.py", json.dumps({str(bench.root / f"source-{family}"): family for family in FAMILIES}))
    return bench.run(
        *(case for family, modules in FAMILIES.items() for case in stages(bench, family, modules)),
        preflighted(bench, "gemma2-system", "gemma2", ["q_proj"], dataset="dataset"),
        preflighted(bench, "gpt-oss-experts", "gpt-oss", ["gate_proj"]),
        bench.sft("gemma3-packed", base="gemma3", dataset="plain", **SHORT, packing=True, batchSize=2),
        bench.sft("gpt-oss-packed", base="gpt-oss", dataset="plain", **SHORT, packing=True, batchSize=2),
        POSOLOGY_ALLOWED_MODEL_FOLDERS=str(bench.root),
    )


def stages(bench: Bench, family: str, modules: list[str]) -> list[dict[str, Any]]:
    source = bench.root / f"source-{family}"
    imported = [bench.case(family, {"uri": f"file:{source}"}, handler="base-model")] if family in IMPORTED else []
    if not imported:
        bench.add(family, source)
    return [
        *imported,
        preflighted(bench, f"{family}-preflight", family, modules),
        bench.sft(f"{family}-sft", base=family, dataset="plain", **SHORT, targetModules=modules),
        bench.merge(f"{family}-merged", base=family, adapter=f"{family}-sft"),
    ]


def preflighted(bench: Bench, name: str, family: str, modules: list[str], *, dataset: str = "plain") -> dict[str, Any]:
    training = {"sft": {**SFT, **SHORT, "targetModules": modules}, "resources": {}}
    task = {"dataset": digest(dataset), "training": training}
    return bench.case(name, {"baseModel": digest(family), "preflight": task}, handler="preflight")


def header(folder: Path) -> Mapping[str, Any]:
    """Tensor name -> shape, over all weight files."""
    return {name: shape for one in read_headers(folder) for name, (_, shape) in one.items()}


def base_of(bench: Bench, family: str) -> Path:
    return Path(bench.inputs[digest(family)])


@pytest.mark.parametrize("family", IMPORTED)
def test_a_family_is_imported_with_its_template_and_weights(
    bench: Bench, grown: dict[str, Outcome], family: str
) -> None:
    assert "result" in grown[family].lines[-1], grown[family].lines[-1]
    assert header(grown[family].output) == header(bench.root / f"source-{family}")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_goes_from_preflight_to_a_merged_model(bench: Bench, grown: dict[str, Outcome], family: str) -> None:
    for stage in (f"{family}-preflight", f"{family}-sft", f"{family}-merged"):
        assert "result" in grown[stage].lines[-1], f"{stage}: {grown[stage].lines[-1]}"
    planned, trained = (grown[f"{family}-{stage}"].result["summary"] for stage in ("preflight", "sft"))
    assert planned["sft_steps"] == trained["steps"] == 2
    merged = grown[f"{family}-merged"]
    assert merged.result["summary"]["kl"] < 1e-6
    assert header(merged.output) == header(base_of(bench, family))
    base, tuned = (json.loads((one / "config.json").read_text()) for one in (base_of(bench, family), merged.output))
    assert tuned == base


@pytest.mark.parametrize("family", FAMILIES)
def test_the_planned_adapter_is_the_trained_one(grown: dict[str, Outcome], family: str) -> None:
    stored = header(grown[f"{family}-sft"].output)
    assert grown[f"{family}-sft"].result["summary"]["trainable_parameters"] == sum(a * b for a, b in stored.values())


def test_joined_rows_are_refused_where_sinks_let_them_see_each_other(grown: dict[str, Outcome]) -> None:
    assert "joined rows see each other" in grown["gpt-oss-packed"].error


def test_joined_rows_stay_apart_behind_windows(grown: dict[str, Outcome]) -> None:
    packed = grown["gemma3-packed"]
    assert "result" in packed.lines[-1], packed.lines[-1]
    log = next(line for line in packed.lines if line.get("log") == "joined rows do not see each other")
    assert log["joined"] < 1e-6 < log["mixed"]


def test_a_system_message_is_refused_before_training_where_the_template_has_no_such_role(
    grown: dict[str, Outcome],
) -> None:
    assert "takes no system message: System role not supported" in grown["gemma2-system"].error


def test_experts_are_named_as_what_no_adapter_takes(grown: dict[str, Outcome]) -> None:
    assert "gate_proj is not in this model; it has k_proj, o_proj, q_proj, v_proj" in grown["gpt-oss-experts"].error
