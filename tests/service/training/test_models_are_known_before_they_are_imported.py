"""Plan and inspection of models on a hub: gated ones with their secret, unknown families by headers, others by name."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hub_server import Hub, serving
from support.model_files import LLAMA_8B, write_model, write_weights
from support.teacher_server import define_endpoint
from support.training_world import World
from support.training_world import world as open_world

from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, PermissionDenied
from posology.training.base_models import fetching
from posology.training.base_models.hub_reader import SecretOutOfReach
from posology.training.base_models.locations import HubModel, Rules
from posology.training.base_models.models import Known, Models
from posology.v1alpha1 import training_pb2 as pb

COMMIT = "c" * 40


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving(Hub("org/model", COMMIT, write_model(tmp_path / "repository"))) as found:
        yield found


@pytest.fixture
async def world(tmp_path: Path, hub: Hub) -> AsyncIterator[World]:
    async with open_world(tmp_path, hub_endpoint=hub.url, allowed_model_folders=(tmp_path,)) as found:
        yield found


@pytest.fixture
def models(hub: Hub, tmp_path: Path) -> Models:
    """As the service looks at models, without a service around it."""
    return Models((), Rules(folders=(tmp_path,)), hub=hub.url)


async def look(models: Models, config: Any = None) -> Known:
    """The hub's model; `config` stands in for its config.json."""
    text = "" if config is None else json.dumps(config)
    return await models.look("hf://org/model", COMMIT, config_json=text)


def base(secret: str = "") -> pb.BaseModelSpec:
    return pb.BaseModelSpec(uri="hf://org/model", revision=COMMIT, credentials_secret=secret)


def plan(secret: str = "") -> pb.PlanTrainingRequest:
    return pb.PlanTrainingRequest(base_model=base(secret), training=pb.TrainingSpec(), rows=1000)


def plan_of(config: Any) -> pb.PlanTrainingRequest:
    text = json.dumps(config)
    return pb.PlanTrainingRequest(base_model=base(), training=pb.TrainingSpec(), rows=10, config_json=text)


def keep(world: World, name: str, value: str) -> None:
    (world.root / "secrets").mkdir(exist_ok=True)
    (world.root / "secrets" / name).write_text(value)


async def test_a_gated_model_is_planned_and_inspected_with_its_secret(world: World, hub: Hub) -> None:
    hub.token = "hf_secret"
    keep(world, "hub-token", "hf_secret\n")
    assert (await world.training.PlanTraining(plan("hub-token"))).parameters > 0
    inspection = await world.training.InspectModel(pb.InspectModelRequest(base_model=base("hub-token")))
    assert inspection.architecture == "LlamaForCausalLM"


REFUSED: list[tuple[str, type[Exception], str]] = [
    ("", PermissionDenied, "set credentialsSecret to its token"),
    ("wrong-token", PermissionDenied, "the token in wrong-token has no access to it"),
    ("absent", FailedPrecondition, "there is no secret 'absent'"),
    ("../token", InvalidInput, "is not the name of a secret"),
    ("api-key", InvalidInput, "is the key of a model endpoint"),
]
"""A secret, and what is said of a gated model that names it."""


async def test_a_gated_model_says_what_is_missing(world: World, hub: Hub) -> None:
    hub.token = "hf_secret"
    keep(world, "wrong-token", "hf_other")
    keep(world, "api-key", "hf_secret")
    define_endpoint(world.root / "model-endpoints", "http://127.0.0.1:9", credentialsSecret="api-key")
    for secret, error, reason in REFUSED:
        for call in (
            world.training.PlanTraining(plan(secret)),
            world.training.InspectModel(pb.InspectModelRequest(base_model=base(secret))),
        ):
            with pytest.raises(error, match=reason):
                await call


async def test_where_only_workers_hold_secrets_the_plan_says_so(hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    models = Models((), Rules(), hub=hub.url, secret=lambda _: None)
    with pytest.raises(SecretOutOfReach, match="only workers hold hub-token"):
        await models.look("hf://org/model", COMMIT, credentials_secret="hub-token")


def family(hub: Hub, config: dict[str, Any], tensors: dict[str, tuple[int, ...]], *, shards: int = 1) -> None:
    """Another model in the repository; an index names its shards."""
    (hub.folder / "config.json").write_text(json.dumps(config))
    (hub.folder / "model.safetensors").unlink()
    if shards == 1:
        return write_weights(hub.folder / "model.safetensors", tensors)
    names = list(tensors)
    files = {f"model-{number}.safetensors": names[number::shards] for number in range(shards)}
    for file, members in files.items():
        write_weights(hub.folder / file, {name: tensors[name] for name in members})
    index = {"weight_map": {name: file for file, members in files.items() for name in members}}
    (hub.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return None


GPT_OSS = {
    "model.embed_tokens.weight": (300, 64),
    "model.layers.0.self_attn.q_proj.weight": (128, 64),
    "model.layers.0.self_attn.q_proj.bias": (128,),
    "model.layers.0.self_attn.sinks": (4,),
    "model.layers.0.mlp.router.weight": (4, 64),
    "model.layers.0.mlp.experts.gate_up_proj": (4, 64, 128),
}
BLOOM = {
    "transformer.word_embeddings.weight": (300, 64),
    "transformer.h.0.self_attention.query_key_value.weight": (192, 64),
    "transformer.h.1.self_attention.query_key_value.weight": (192, 64),
}
MOE = {
    "model.embed_tokens.weight": (300, 64),
    "model.layers.0.self_attn.q_proj.weight": (64, 64),
    "model.layers.0.mlp.gate.weight": (4, 64),
    "model.layers.0.mlp.experts.0.gate_proj.weight": (32, 64),
}


@pytest.mark.parametrize(
    ("name", "kind", "tensors", "modules"),
    [
        ("GptOssForCausalLM", "gpt_oss", GPT_OSS, {"q_proj": 1}),
        ("BloomForCausalLM", "bloom", BLOOM, {"query_key_value": 2}),
        ("Qwen3MoeForCausalLM", "qwen3_moe", MOE, {"q_proj": 1}),
    ],
)
@pytest.mark.parametrize("shards", [1, 3])
async def test_a_family_that_no_table_knows_is_read_from_its_headers(
    models: Models,
    hub: Hub,
    name: str,
    kind: str,
    tensors: dict[str, tuple[int, ...]],
    modules: dict[str, int],
    shards: int,
) -> None:
    family(hub, {"architectures": [name], "model_type": kind}, tensors, shards=shards)
    shape = (await look(models)).shape
    assert dict(Counter(each.short for each in shape.linears)) == modules
    assert shape.parameters == sum(_product(shape) for shape in tensors.values())


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"architectures": ["T5ForConditionalGeneration"]}, "T5ForConditionalGeneration is not both trained"),
        ({"architectures": ["BertForMaskedLM"]}, "writes no text"),
        ({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}, "reads more than text"),
        ({"architectures": ["OwnForCausalLM"], "auto_map": {"AutoModel": "x"}}, "code from a repository is run"),
        ({"architectures": ["MptForCausalLM"]}, "MptForCausalLM is not both trained"),
    ],
)
async def test_an_architecture_that_is_not_trained_and_served_is_refused_by_name_before_its_weights(
    models: Models, hub: Hub, tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    (hub.folder / "config.json").write_text(json.dumps(config))
    for stand_in in (None, config):
        with pytest.raises(InvalidInput, match=reason):
            await look(models, stand_in)
    (tmp_path / "into").mkdir()
    with pytest.raises(InvalidInput, match=reason):
        fetching.from_hub(
            HubModel("org/model", COMMIT),
            tmp_path / "into",
            endpoint=hub.url,
            token=None,
            progress=lambda done, total, message: None,
        )
    assert not any(path.endswith(".safetensors") for path in hub.paths)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({key: value for key, value in LLAMA_8B.items() if key != "hidden_size"}, "hidden_size is null"),
        ({**LLAMA_8B, "hidden_size": "4096"}, "hidden_size is"),
        ({**LLAMA_8B, "num_hidden_layers": -1}, "num_hidden_layers is -1"),
        ({**LLAMA_8B, "vocab_size": True}, "vocab_size is true"),
        ({**LLAMA_8B, "intermediate_size": None}, "intermediate_size is null"),
        ({**LLAMA_8B, "num_attention_heads": 0}, "num_attention_heads is 0"),
        ({**LLAMA_8B, "num_key_value_heads": "eight"}, "num_key_value_heads is"),
        ({**LLAMA_8B, "head_dim": 0.5}, "head_dim is 0.5"),
        ({"model_type": "qwen3"}, "hidden_size is null"),
        ([], "is not a JSON object"),
        ("text", "is not a JSON object"),
    ],
)
async def test_a_config_without_its_sizes_is_the_users_error_and_names_them(
    models: Models, hub: Hub, config: Any, reason: str
) -> None:
    (hub.folder / "config.json").write_text(json.dumps(config))
    for stand_in in (None, config):
        with pytest.raises(InvalidInput, match=reason):
            await look(models, stand_in)


async def test_every_call_says_what_is_wrong_with_a_config(world: World, hub: Hub) -> None:
    config = {key: value for key, value in LLAMA_8B.items() if key != "hidden_size"}
    (hub.folder / "config.json").write_text(json.dumps(config))
    for call in (
        world.training.InspectModel(pb.InspectModelRequest(base_model=base())),
        world.training.PlanTraining(plan()),
        world.training.PlanTraining(plan_of(config)),
    ):
        with pytest.raises(InvalidInput, match="hidden_size is null"):
            await call


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "\x00", '{"model_type": NaN'])
async def test_a_config_that_is_no_json_is_the_users_error(models: Models, hub: Hub, text: str) -> None:
    (hub.folder / "config.json").write_text(text)
    with pytest.raises(InvalidInput, match="JSON"):
        await look(models)


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"])
async def test_a_folder_whose_config_lacks_sizes_is_read_from_its_weights(
    models: Models, tmp_path: Path, missing: str
) -> None:
    folder = write_model(tmp_path / "models/tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != missing}))
    known = await models.look(f"file:{folder}", "")
    assert known.shape.parameters == 100 * 64 + 2 * (4 * 64 * 64 + 2 * 64 * 64)


@pytest.mark.parametrize("tensors", [{}, {"weight": (2, 2)}, {"model.layers.x.weight": (2, 2)}])
async def test_weights_that_are_no_language_model_are_the_users_error(
    models: Models, hub: Hub, tensors: dict[str, tuple[int, ...]]
) -> None:
    family(hub, {"architectures": ["BloomForCausalLM"], "model_type": "bloom"}, tensors)
    with pytest.raises(InvalidInput, match="hold no embedding and numbered layers"):
        await look(models)


async def test_files_of_the_wrong_kind_on_a_hub_are_the_users_error(models: Models, hub: Hub) -> None:
    family(hub, {"architectures": ["BloomForCausalLM"], "model_type": "bloom"}, {"a": (1, 1)})
    (hub.folder / "model.safetensors").write_bytes(b"<html>not found</html>")
    with pytest.raises(InvalidInput, match="no safetensors file"):
        await look(models)
    (hub.folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(InvalidInput, match="no index of weight files"):
        await look(models)
    (hub.folder / "config.json").unlink()
    with pytest.raises(NotFound, match=r"has no config\.json"):
        await look(models)
