"""DPO and merging on what SFT made."""

import pytest
from support.training_bench import Bench, Outcome, digest

pytestmark = pytest.mark.slow
LN2 = 0.6931


@pytest.mark.parametrize("name", ["dpo-on-lora", "dpo-on-qlora", "dpo-on-full"])
def test_dpo_starts_at_the_sft_model_and_learns_the_preference(trained: dict[str, Outcome], name: str) -> None:
    losses = trained[name].metrics("eval_loss")
    assert losses[0][1] == pytest.approx(LN2, abs=2e-3)
    assert losses[-1][1] < LN2 - 0.01
    assert trained[name].result["summary"]["preference_accuracy"] >= 0.9
    assert any(line.get("log") == "the reference is the SFT model" for line in trained[name].lines)


def test_dpo_continues_the_adapter_of_sft(trained: dict[str, Outcome]) -> None:
    found = trained["dpo-on-lora"]
    assert found.record()["base"] == digest("base")
    assert not (found.output / "ref").exists()
    assert (found.output / "adapter_config.json").read_text() == (
        trained["lora"].output / "adapter_config.json"
    ).read_text()


def test_dpo_on_a_wholly_trained_model_is_an_adapter_of_that_model(trained: dict[str, Outcome]) -> None:
    assert trained["dpo-on-full"].record()["base"] == digest("full")
    assert digest("full") in trained["dpo-on-full"].result["parents"]


def test_a_lora_merge_in_fp32_is_exact(trained: dict[str, Outcome]) -> None:
    summary = trained["merged-lora"].result["summary"]
    assert summary["dtype"] == "float32"
    assert summary["kl"] < 1e-6
    assert summary["top1"] == 1.0


@pytest.mark.parametrize("name", ["merged-qlora", "merged-dpo"])
def test_a_qlora_merge_is_the_trained_model_up_to_bf16(trained: dict[str, Outcome], name: str) -> None:
    summary = trained[name].result["summary"]
    assert summary["dtype"] == "bfloat16"
    assert summary["kl"] < 1e-4
    assert summary["tokens"] > 500


def test_a_model_trained_whole_passes_through_unchanged(trained: dict[str, Outcome]) -> None:
    weights = "model.safetensors"
    assert (trained["merged-full"].output / weights).read_bytes() == (trained["full"].output / weights).read_bytes()


def test_the_adapter_of_a_wholly_trained_model_is_merged_into_that_model(trained: dict[str, Outcome]) -> None:
    assert trained["merged-dpo-on-full"].result["parents"] == [digest("full"), digest("dpo-on-full")]
    assert trained["merged-dpo-on-full"].result["summary"]["kl"] < 1e-6


def test_a_merged_model_has_the_template_and_generation_settings_of_its_base(
    trained: dict[str, Outcome], bench: Bench
) -> None:
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (trained["merged-qlora"].output / name).read_bytes() == (bench.root / "model-base" / name).read_bytes()
    assert not [path.name for path in trained["merged-qlora"].output.iterdir() if "quant" in path.read_text("latin-1")]


def test_equal_seeds_give_equal_adapters(trained: dict[str, Outcome], bench: Bench) -> None:
    again = bench.run(bench.sft("lora-again"))["lora-again"]
    weights = "adapter_model.safetensors"
    assert (again.output / weights).read_bytes() == (trained["lora"].output / weights).read_bytes()
    assert again.record() == trained["lora"].record()
