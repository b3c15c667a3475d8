"""What DoRA, rsLoRA, LoRA+, NEFTune, other optimizers and packing do to a plan's figures and advice."""

import pytest
from google.protobuf import json_format
from support.model_files import LLAMA_8B

from posology.core import schema
from posology.core.errors import InvalidInput
from posology.training import convert
from posology.training.domain import Lora, Method, Optimisation, Sft
from posology.training.planning import devices, shapes
from posology.training.planning.memory import moment_bytes
from posology.training.planning.packing import packs
from posology.training.planning.plan import plan
from posology.training.planning.planned import Lengths, Plan, Request
from posology.v1alpha1 import training_pb2 as pb

QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")


def planned(sft: Sft, *, lengths: Lengths | None = None, rows: int = 5400) -> Plan:
    shape = shapes.from_config(LLAMA_8B)
    return plan(Request(shape, sft, None, rows, 0, gpus=1, device=devices.find("NVIDIA L4"), lengths=lengths))


def notes(made: Plan, field: str, *, warning: bool = False) -> str:
    return " ".join(note.message for note in made.notes if note.field == field and note.warning is warning)


def read(**config: object) -> Sft:
    """As a spec of these fields reaches training, rules of the contract included."""
    message = json_format.ParseDict(config, pb.SftConfig())
    schema.apply_defaults(message)
    schema.validate(message)
    return convert.sft_from_proto(message)


def test_dora_trains_one_length_per_output_and_needs_more_memory() -> None:
    lora, dora = planned(Sft()), planned(Sft(lora=Lora(use_dora=True)))
    assert dora.trainable - lora.trainable == 32 * (4096 + 1024 + 1024 + 4096)
    assert dora.memory.activations > lora.memory.activations
    assert "vLLM takes no DoRA adapter" in notes(dora, "sft.useDora")


def test_rslora_scales_by_the_root_of_the_rank() -> None:
    assert read(useRslora=True).lora.scale == read().lora.scale == 2
    assert read(useRslora=True, rank=64).lora.scale == 1
    assert read(useRslora=True, alpha=16, rank=64).lora.scale == 2
    assert read(rank=64).lora.scale == 2
    high = planned(Sft(lora=Lora(rank=16, alpha=64, use_rslora=True)))
    assert "alpha / sqrt(rank): 16 here" in notes(high, "sft.useRslora", warning=True)


def test_lora_plus_says_at_which_rate_b_learns() -> None:
    said = notes(planned(Sft(lora=Lora(loraplus_lr_ratio=16))), "sft.loraplusLrRatio")
    assert "0.0032, 16 times the 0.0002" in said


@pytest.mark.parametrize(
    ("optim", "weight", "expected"),
    [
        ("adamw_torch_fused", 4, 8),
        ("adamw_torch_fused", 2, 4),
        ("adamw_8bit", 4, 2 * (1 + 4 / 256)),
        ("adamw_bnb_8bit", 2, 2 * (1 + 4 / 256)),
        ("paged_adamw_32bit", 2, 8),
        ("lion_8bit", 4, 1 + 4 / 256),
        ("paged_lion_8bit", 4, 1 + 4 / 256),
        ("lion_32bit", 2, 4),
    ],
)
def test_an_optimizer_holds_as_many_bytes_as_its_moments_take(optim: str, weight: int, expected: float) -> None:
    assert moment_bytes(optim, weight) == expected


def test_eight_bits_save_three_quarters_of_full_tunings_moments() -> None:
    full = Sft(method=Method.FULL, optimisation=Optimisation(learning_rate=1e-5))
    small = Sft(method=Method.FULL, optimisation=Optimisation(learning_rate=1e-5, optim="adamw_8bit"))
    assert planned(small).memory.optimizer / planned(full).memory.optimizer == pytest.approx(0.254, abs=0.001)
    assert "MiB less than adamw_torch_fused" in notes(planned(small), "sft.optim")
    more = Sft(optimisation=Optimisation(optim="paged_adamw_32bit"))
    assert "MiB more than adamw_torch_fused" in notes(planned(more), "sft.optim")


def test_packing_is_planned_by_joined_rows() -> None:
    sft = Sft(optimisation=Optimisation(packing=True, max_length=1024))
    made = planned(sft, lengths=Lengths(400, 128.0, packs=690))
    assert made.sft_steps == -(-690 // 8) * 3
    assert "5,400 rows become about 690" in notes(made, "sft.packing")
    assert made.batches.micro == 1
    assert planned(sft).packs == -(-5400 * 320 // 1024)
    few = planned(sft, lengths=Lengths(400, 128.0, packs=40), rows=600)
    assert "15 steps instead of 225" in notes(few, "sft.packing", warning=True)


@pytest.mark.parametrize(
    ("lengths", "size", "expected"),
    [([5, 2, 3, 1], 4, 3), ([4, 4, 4], 4, 3), ([1] * 9, 4, 3), ([3, 3, 2, 2, 1, 1], 4, 3), ([], 4, 0)],
)
def test_rows_are_joined_as_trl_joins_them(lengths: list[int], size: int, expected: int) -> None:
    assert packs(lengths, size) == expected


def test_the_last_checkpoint_is_published_only_when_asked_for() -> None:
    assert read().optimisation.best is True
    last = read(loadBestModelAtEnd=False)
    assert last.optimisation.best is False
    assert "last checkpoint is published" in notes(planned(last), "sft.loadBestModelAtEnd")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"loraplusLrRatio": 0.5}, "at least 1"),
        ({"packing": True, "trainSamplingStrategy": "group_by_length"}, "nothing to group"),
        ({"optim": "adamw_9bit"}, "adamw_8bit"),
        ({"optim": "AdamW"}, "adamw_8bit"),
        ({"trainSamplingStrategy": "longest"}, "group_by_length"),
        ({"neftuneNoiseAlpha": -1}, "greater than or equal to 0"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused_in_words(config: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read(**config)


@pytest.mark.parametrize(
    "config", [{"useDora": True}, {"useRslora": True}, {"loraplusLrRatio": 16.0}, {"useDora": True, "useRslora": True}]
)
def test_parts_of_an_adapter_are_refused_with_full_tuning(config: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as raised:
        planned(read(method="FULL", learningRate=1e-5, **config))
    assert {violation.field for violation in raised.value.violations} == {
        f"spec.training.sft.{name}" for name in config
    }


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"lossType": "robust"}, "robust"),
        ({"labelSmoothing": 0.1}, "robust"),
        ({"lossType": "ipo", "labelSmoothing": 0.1}, "robust"),
        ({"lossType": "kto"}, "ipo"),
    ],
)
def test_a_preference_loss_is_one_of_trls_with_what_it_needs(config: dict[str, object], reason: str) -> None:
    message = json_format.ParseDict(config, pb.DpoConfig())
    schema.apply_defaults(message)
    with pytest.raises(InvalidInput, match=reason):
        schema.validate(message)
