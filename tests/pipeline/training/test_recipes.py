"""The recipes that people know by TRL's and PEFT's names: each is trained, and does what its paper says."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from support.training_bench import Bench, Outcome, pair, python, write_lines

pytestmark = pytest.mark.slow
SHORT: dict[str, Any] = {"epochs": 1, "maxSteps": 4, "checkpointSteps": 4, "dropout": 0.0, "earlyStopping": None}
OPTIMIZERS = (
    "adamw_torch",
    "adamw_8bit",
    "adamw_bnb_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "lion_32bit",
    "lion_8bit",
    "paged_lion_8bit",
)
LN2 = 0.6931


def talk(number: int) -> dict[str, Any]:
    """A conversation with an answer in its prompt."""
    row = pair(number)
    earlier = [{"role": "user", "content": "May I ask?"}, {"role": "assistant", "content": "Yes, please do."}]
    return {**row, "prompt": [row["prompt"][0], *earlier, row["prompt"][1]]}


@pytest.fixture(scope="module")
def tried(bench: Bench) -> dict[str, Outcome]:
    """Every recipe, one process."""
    talks = [talk(number) for number in range(24)]
    write_lines(bench.root / "talks/train.jsonl", talks[:16])
    write_lines(bench.root / "talks/validation.jsonl", talks[16:])
    bench.add("talks", bench.root / "talks")
    return bench.run(
        bench.sft("plain", **SHORT),
        bench.sft("dora", **SHORT, useDora=True),
        bench.sft("dora-nf4", **SHORT, useDora=True, method="QLORA"),
        bench.sft("rslora", **{**SHORT, "alpha": None}, useRslora=True),
        bench.sft("loraplus", **SHORT, loraplusLrRatio=16),
        bench.sft("neftune", **SHORT, neftuneNoiseAlpha=5),
        bench.sft("packed", **{**SHORT, "maxSteps": 0}, packing=True, batchSize=2, microBatchSize=0, warmup=0),
        bench.sft("bucketed", **SHORT, trainSamplingStrategy="group_by_length"),
        bench.sft("last-answer", **SHORT, dataset="talks"),
        bench.sft("every-answer", **SHORT, dataset="talks", assistantOnlyLoss=True),
        bench.sft("dora-full", **SHORT, method="FULL", useDora=True, loraplusLrRatio=16),
        *(bench.sft(f"by-{name}", **SHORT, optim=name) for name in OPTIMIZERS),
        bench.merge("merged-dora", adapter="dora"),
        bench.merge("merged-dora-nf4", adapter="dora-nf4"),
        bench.merge("merged-rslora", adapter="rslora"),
        bench.dpo("ipo", sft="dora", lossType="ipo", microBatchSize=2, maxSteps=4),
        bench.dpo("robust", sft="rslora", lossType="robust", labelSmoothing=0.1, optim="adamw_8bit", maxSteps=4),
        bench.merge("merged-ipo", adapter="ipo"),
    )


@pytest.fixture(scope="module")
def inside(bench: Bench, tried: dict[str, Outcome]) -> Mapping[str, Any]:
    """What the adapters and merges hold."""
    cases: dict[str, dict[str, str]] = {
        name: {"adapter": str(tried[name].output)} for name in ("plain", "loraplus", "neftune", "dora")
    }
    for name, method in (("dora", "LORA"), ("dora-nf4", "QLORA"), ("rslora", "LORA"), ("ipo", "LORA")):
        cases[f"{name} merged"] = {
            "adapter": str(tried[name].output),
            "base": str(bench.root / "model-base"),
            "merged": str(tried[f"merged-{name}"].output),
            "method": method,
        }
    listed = bench.root / "recipe-cases.json"
    listed.write_text(json.dumps(cases))
    found: Mapping[str, Any] = json.loads(python("recipe_checks.py", str(listed)).stdout.strip().splitlines()[-1])
    return found


def settings(outcome: Outcome) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((outcome.output / "adapter_config.json").read_text())
    return found


@pytest.mark.parametrize(
    "name",
    ["dora", "dora-nf4", "rslora", "loraplus", "neftune", "packed", "bucketed", "every-answer"]
    + [f"by-{name}" for name in OPTIMIZERS],
)
def test_every_recipe_lowers_the_validation_loss(tried: dict[str, Outcome], name: str) -> None:
    assert tried[name].lines[-1].get("result"), tried[name].error
    losses = tried[name].metrics("eval_loss")
    assert losses[-1][1] < losses[0][1] - 0.02


def test_the_adapter_says_what_it_is(tried: dict[str, Outcome], inside: Mapping[str, Any]) -> None:
    assert settings(tried["dora"])["use_dora"] is True
    assert inside["dora"]["norms"]["lora_magnitude_vector"] > 0
    rslora = settings(tried["rslora"])
    assert (rslora["use_rslora"], rslora["lora_alpha"]) == (True, 8)


def test_b_learns_faster_than_a_under_lora_plus(inside: Mapping[str, Any]) -> None:
    plain, apart = inside["plain"]["norms"], inside["loraplus"]["norms"]
    assert apart["lora_B"] > 4 * plain["lora_B"]
    assert apart["lora_A"] == pytest.approx(plain["lora_A"], rel=0.2)


def test_noise_changes_what_is_learned_and_not_how_it_is_measured(tried: dict[str, Outcome]) -> None:
    assert tried["neftune"].metrics("eval_loss")[0] == tried["plain"].metrics("eval_loss")[0]
    assert tried["neftune"].metrics("loss") != tried["plain"].metrics("loss")


def test_joined_rows_keep_every_token_and_do_not_see_each_other(tried: dict[str, Outcome]) -> None:
    packed = tried["packed"]
    log = next(line for line in packed.lines if line.get("log") == "joined rows do not see each other")
    assert log["joined"] < 1e-6 < log["mixed"]
    read = next(line for line in packed.lines if line.get("log") == "data read")
    assert read["rows"] < read["pairs"]
    assert packed.result["summary"]["steps"] == math.ceil(read["rows"] / 2)


def test_the_loss_falls_on_every_answer_or_on_the_last(tried: dict[str, Outcome]) -> None:
    last, every = (tried[name].record()["loss_mask"] for name in ("last-answer", "every-answer"))
    assert every["examples"] == last["examples"] == 16
    assert every["prompt_tokens"] < last["prompt_tokens"]
    assert every["loss_tokens"] > last["loss_tokens"]


def test_parts_of_an_adapter_are_refused_without_one(tried: dict[str, Outcome]) -> None:
    for name in ("useDora", "loraplusLrRatio"):
        assert f"spec.training.sft.{name}: has no meaning with method FULL" in tried["dora-full"].error


def test_ipo_starts_at_its_own_loss_and_robust_at_that_of_dpo(tried: dict[str, Outcome]) -> None:
    assert tried["ipo"].metrics("eval_loss")[0][1] == pytest.approx((1 / (2 * 0.1)) ** 2, rel=1e-3)
    assert tried["robust"].metrics("eval_loss")[0][1] == pytest.approx(LN2, abs=2e-3)
    for name in ("ipo", "robust"):
        losses = tried[name].metrics("eval_loss")
        assert losses[-1][1] < losses[0][1]


@pytest.mark.parametrize("name", ["dora", "dora-nf4", "rslora", "ipo"])
def test_a_merge_is_proved_on_the_weights_and_a_spoilt_one_is_not(inside: Mapping[str, Any], name: str) -> None:
    proof = inside[f"{name} merged"]["proof"]
    assert proof["changed"] == []
    assert all(projection == pytest.approx(1, abs=0.02) for projection in [*proof["projections"], *proof["again"]])
    assert max(proof["residuals"]) <= 1
    assert abs(proof["spoilt"] - 1) > 0.02


@pytest.mark.parametrize("name", ["merged-dora", "merged-dora-nf4", "merged-rslora", "merged-ipo"])
def test_a_merge_is_the_trained_model(tried: dict[str, Outcome], name: str) -> None:
    assert tried[name].result["summary"]["kl"] < (2e-4 if "nf4" in name else 1e-6)


def test_a_merge_keeps_two_gibibytes_of_logits_at_most(inside: Mapping[str, Any]) -> None:
    kept = inside["kept"]
    assert kept["small"] == [512] * 64
    for name, vocabulary in (("Llama 3", 128_256), ("Gemma 3", 262_144)):
        assert 2000 < sum(kept[name]) <= (2 << 30) // (4 * vocabulary)
    assert kept["absurd"] == [2]
