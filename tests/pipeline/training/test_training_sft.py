"""SFT on a tiny model: what is learned, what is written, and what is refused."""

import json

import pytest
from support.training_bench import Bench, Outcome, pair, write_lines

from posology.training import event_file

pytestmark = pytest.mark.slow
ADAPTER_FILES = {"adapter_config.json", "adapter_model.safetensors", "training.json", "probes.jsonl", event_file.NAME}


@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_every_method_lowers_the_validation_loss(trained: dict[str, Outcome], method: str) -> None:
    losses = trained[method].metrics("eval_loss")
    assert losses[0][0] == 0
    assert losses[-1][1] < losses[0][1] - 0.3


def test_metrics_are_streamed_for_every_step(trained: dict[str, Outcome]) -> None:
    steps = list(range(1, 11))
    for name in ("loss", "learning_rate", "grad_norm", "tokens_per_second"):
        assert [step for step, _ in trained["lora"].metrics(name)] == steps


def test_the_learning_rate_follows_a_cosine_after_its_warm_up(trained: dict[str, Outcome]) -> None:
    rates = [rate for _, rate in trained["lora"].metrics("learning_rate")]
    assert max(rates) == 0.01
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 0.001


def test_the_loss_mask_is_checked_on_every_label(trained: dict[str, Outcome]) -> None:
    masked = trained["lora"].record()["loss_mask"]
    assert masked["examples"] == 40
    assert 0 < masked["loss_tokens"] < masked["prompt_tokens"]


def test_an_adapter_holds_safetensors_and_no_path_of_this_machine(trained: dict[str, Outcome], bench: Bench) -> None:
    output = trained["lora"].output
    assert {path.name for path in output.iterdir()} == ADAPTER_FILES
    settings = (output / "adapter_config.json").read_text() + (output / "training.json").read_text()
    assert str(bench.root) not in settings
    assert json.loads((output / "adapter_config.json").read_text())["base_model_name_or_path"].startswith("sha256:")


def test_a_full_model_keeps_the_tokenizer_and_template_of_its_base(trained: dict[str, Outcome], bench: Bench) -> None:
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json", "tokenizer_config.json"):
        assert (trained["full"].output / name).read_bytes() == (bench.root / "model-base" / name).read_bytes()
    assert not list(trained["full"].output.glob("*.bin"))


def test_what_cannot_be_trained_is_refused_with_the_reason(bench: Bench) -> None:
    write_lines(bench.root / "unheld/train.jsonl", [pair(1)])
    bench.add("unheld", bench.root / "unheld")
    found = bench.run(
        bench.sft("without-template", base="mute"),
        bench.sft("without-end", base="endless"),
        bench.sft("with-think", base="thinking"),
        bench.sft("too-long", maxLength=64),
        bench.sft("unknown-module", targetModules=["query"]),
        bench.sft("nf4-of-96", base="narrow", method="QLORA"),
        bench.sft("without-validation", dataset="unheld"),
        bench.sft("diverging", alpha=65536, rank=1, learningRate=1.0, targetModules=["all-linear"]),
    )
    for name, said in {
        "without-template": "no chat template",
        "without-end": "never learn to stop",
        "with-think": "renders a prompt differently",
        "too-long": "longer than maxLength 64",
        "unknown-module": "query is not in this model; it has down_proj",
        "nf4-of-96": "multiples of 64",
        "without-validation": "no validation pairs",
    }.items():
        assert said in found[name].error
        assert not list(found[name].output.iterdir())
    assert "at step" in found["diverging"].error
    assert "learningRate" in found["diverging"].error
    assert not list(found["diverging"].output.iterdir())
