"""Plans: memory, steps, time, warnings and advice, without torch."""

import dataclasses
import subprocess
import sys
import time

import pytest
from support.model_files import LLAMA_8B

from posology.training.domain import Dpo, Lora, Method, Optimisation, Sft
from posology.training.planning import devices, shapes
from posology.training.planning.plan import plan
from posology.training.planning.planned import Plan, Request, memory_mib

SHIPPED = Sft(optimisation=Optimisation(patience=2))


def planned(sft: Sft = SHIPPED, *, device: str = "NVIDIA A100 80GB", rows: int = 5400, dpo: Dpo | None = None) -> Plan:
    return plan(Request(shapes.from_config(LLAMA_8B), sft, dpo, rows, 1000, gpus=1, device=devices.find(device)))


def warnings(found: Plan) -> str:
    return " ".join(note.message for note in found.notes if note.warning)


def advice(found: Plan) -> str:
    return " ".join(note.message for note in found.notes if not note.warning)


def test_the_shipped_recipe_gets_no_warning() -> None:
    assert warnings(planned(dpo=Dpo())) == ""


def test_both_rules_of_thumb_are_explained() -> None:
    said = advice(planned())
    assert "5e-5 to 1e-4" in said
    assert "2e-4" in said
    assert "q_proj and v_proj" in said


def test_a_plan_takes_well_under_a_second() -> None:
    started = time.process_time()
    planned()
    assert time.process_time() - started < 0.2


def test_planning_loads_no_torch() -> None:
    code = "import sys, posology.training.planning.plan, posology.training.servicer; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_steps_follow_rows_epochs_and_batch_size() -> None:
    found = planned(dpo=Dpo())
    assert found.sft_steps == 675 * 3
    assert found.dpo_steps == 113 * 2


def test_max_steps_win_over_epochs() -> None:
    assert planned(Sft(optimisation=Optimisation(max_steps=150))).sft_steps == 150


def test_qlora_weights_of_8b_take_about_six_gib() -> None:
    """7.0 G quantised weights at 4.13 bits, 1.05 G embeddings and head in bf16."""
    assert planned().memory.weights / 2**30 == pytest.approx(5.3, abs=0.3)


def test_full_tuning_takes_sixteen_bytes_a_parameter() -> None:
    found = planned(Sft(method=Method.FULL, optimisation=Optimisation(learning_rate=1e-5)))
    without = found.memory.total - found.memory.activations
    assert without == 16 * 8_030_261_248
    assert "the smallest GPU that holds it is an NVIDIA H200" in warnings(found)


def test_a_batch_is_cut_until_it_fits_and_keeps_its_size() -> None:
    small, large = planned(device="NVIDIA L4"), planned(device="NVIDIA H100")
    assert small.batches.micro < large.batches.micro
    for found in (small, large):
        assert found.batches.micro * found.batches.accumulation == 8


def test_a_device_that_is_too_small_is_a_warning_that_names_one_that_is_not() -> None:
    lora = Sft(method=Method.LORA, optimisation=Optimisation(patience=2))
    said = warnings(planned(lora, device="NVIDIA T4"))
    assert "NVIDIA T4 has 16" in said
    assert "the smallest GPU that holds it is an NVIDIA" in said


@pytest.mark.parametrize(
    ("sft", "said"),
    [
        (Sft(optimisation=Optimisation(learning_rate=1e-2)), "often diverges"),
        (Sft(optimisation=Optimisation(learning_rate=1e-6)), "little will be learned"),
        (Sft(lora=Lora(rank=4, alpha=64)), "alpha / rank is 16"),
        (Sft(optimisation=Optimisation(max_length=200_000)), "longer than the 131072 tokens"),
    ],
)
def test_what_often_goes_wrong_is_a_warning(sft: Sft, said: str) -> None:
    assert said in warnings(planned(sft))


def test_few_rows_lead_to_the_advice_to_prompt_instead() -> None:
    assert "need no training" in warnings(planned(rows=150))


def test_nf4_needs_whole_blocks() -> None:
    narrow = shapes.from_config({**LLAMA_8B, "hidden_size": 96, "num_attention_heads": 3, "num_key_value_heads": 3})
    found = plan(Request(narrow, SHIPPED, None, 5000, 0))
    assert "multiple of 64" in warnings(found)


def test_time_is_zero_when_the_device_is_unknown() -> None:
    request = Request(shapes.from_config(LLAMA_8B), SHIPPED, None, 5000, 0, gpus=1)
    assert plan(request).seconds == 0
    assert planned().seconds > 0


def test_on_a_cpu_the_libraries_need_their_part_of_the_one_memory() -> None:
    """Gemma 3 270M: 3,011 MiB were planned and 4,430 MiB taken, the libraries among them."""
    request = Request(shapes.from_config(LLAMA_8B), SHIPPED, None, rows=5400, preference_rows=0)
    on_a_cpu = plan(request)
    figures = memory_mib(on_a_cpu.memory, libraries=on_a_cpu.libraries)
    assert figures["libraries"] == 1024
    assert figures["total"] == pytest.approx(sum(value for name, value in figures.items() if name != "total"))
    assert plan(dataclasses.replace(request, gpus=1)).libraries == 0


@pytest.mark.parametrize(("short", "warned"), [(1025, True), (500, True), (1, True), (0, False)])
def test_a_limit_that_leaves_libraries_no_room_is_a_warning(short: int, warned: bool) -> None:
    request = Request(shapes.from_config(LLAMA_8B), SHIPPED, None, rows=5400, preference_rows=0)
    found = plan(request)
    limit = found.memory.total + found.libraries - (short << 20)
    limited = plan(dataclasses.replace(request, host_memory=limit))
    assert ("resources.memoryMib" in warnings(limited)) is warned
