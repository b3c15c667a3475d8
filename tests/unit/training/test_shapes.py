"""Parameter counts from config.json alone."""

from pathlib import Path

import pytest
from support.model_files import LLAMA_8B, write_weights

from posology.core.errors import InvalidInput
from posology.training.domain import Lora
from posology.training.planning import shapes

QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")


@pytest.mark.parametrize(
    ("modules", "rank", "expected"),
    [
        (("q_proj", "v_proj"), 16, 6_815_744),
        (QKVO, 16, 13_631_488),
        (("gate_proj", "up_proj", "down_proj"), 16, 28_311_552),
        (("all-linear",), 16, 41_943_040),
        (QKVO, 8, 6_815_744),
        (QKVO, 32, 27_262_976),
        (QKVO, 64, 54_525_952),
    ],
)
def test_adapters_of_llama_8b_have_the_parameters_that_peft_makes(
    modules: tuple[str, ...], rank: int, expected: int
) -> None:
    lora = Lora(rank=rank, target_modules=modules)
    assert shapes.lora_parameters(shapes.from_config(LLAMA_8B), lora) == expected


def test_llama_8b_has_all_its_parameters() -> None:
    assert shapes.from_config(LLAMA_8B).parameters == 8_030_261_248


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # Qwen2.5-0.5B: biases on q, k and v, tied embeddings.
        (
            {
                "model_type": "qwen2",
                "hidden_size": 896,
                "intermediate_size": 4864,
                "num_hidden_layers": 24,
                "num_attention_heads": 14,
                "num_key_value_heads": 2,
                "vocab_size": 151936,
                "tie_word_embeddings": True,
            },
            494_032_768,
        ),
        # Qwen3-0.6B: a head size of its own, norms on queries and keys.
        (
            {
                "model_type": "qwen3",
                "hidden_size": 1024,
                "intermediate_size": 3072,
                "num_hidden_layers": 28,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "vocab_size": 151936,
                "tie_word_embeddings": True,
            },
            596_049_920,
        ),
    ],
)
def test_other_families_are_counted_exactly(config: dict[str, object], expected: int) -> None:
    assert shapes.from_config(config).parameters == expected


def test_a_module_that_the_model_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(InvalidInput, match=r"query is not in this model; it has q_proj, k_proj"):
        shapes.targets(shapes.from_config(LLAMA_8B), Lora(target_modules=("query",)))


def test_an_unknown_architecture_is_said_to_need_its_weight_files() -> None:
    with pytest.raises(InvalidInput, match="import the model first"):
        shapes.from_config({"model_type": "mamba"})


def test_shapes_come_from_the_headers_of_weight_files_too(tmp_path: Path) -> None:
    weights = {
        "model.embed_tokens.weight": (10, 4),
        **{f"model.layers.{layer}.self_attn.q_proj.weight": (6, 4) for layer in (0, 1, 10)},
        "model.layers.0.input_layernorm.weight": (4,),
    }
    write_weights(tmp_path / "model.safetensors", weights)
    config = {"hidden_size": 4, "num_hidden_layers": 11, "vocab_size": 10}
    found = shapes.from_headers(config, shapes.read_headers(tmp_path))
    assert found.parameters == 40 + 3 * 24 + 4
    assert [each.name for each in found.linears][-1] == "model.layers.10.self_attn.q_proj"
    assert found.linears[0] == shapes.Linear("model.layers.0.self_attn.q_proj", 6, 4)


def test_a_weight_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors", {"a": (8, 8)})
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(InvalidInput, match=r"model.safetensors has .* its header speaks of"):
        shapes.read_headers(tmp_path)


def test_a_pickle_called_safetensors_is_no_safetensors_file(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04\x95" + b"x" * 100)
    with pytest.raises(InvalidInput, match="not a safetensors file"):
        shapes.read_headers(tmp_path)
