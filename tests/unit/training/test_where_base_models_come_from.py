"""Where base models may come from, and which folders are refused."""

import json
from pathlib import Path

import pytest
from support.model_files import write_weights

from posology.core.errors import InvalidInput, PermissionDenied
from posology.core.locations import AllowedLocations
from posology.training.base_models import fetching, folder, locations

COMMIT = "a" * 40


def model_folder(path: Path, *, template: bool = True) -> Path:
    path.mkdir(parents=True)
    config = {"model_type": "llama", "hidden_size": 4, "num_hidden_layers": 1, "vocab_size": 10}
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text("{}")
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"} if template else {}))
    write_weights(path / "model.safetensors", {"model.layers.0.self_attn.q_proj.weight": (4, 4)})
    return path


def rules(root: Path) -> locations.Rules:
    return locations.Rules(folders=(root,))


def test_a_hub_model_needs_a_commit(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        locations.parse("hf://org/name", "main", rules(tmp_path))
    assert raised.value.violations[0].field == "spec.revision"
    assert "pin the commit" in raised.value.violations[0].description


def test_a_pinned_hub_model_is_understood(tmp_path: Path) -> None:
    assert locations.parse("hf://org/name", COMMIT, rules(tmp_path)) == locations.HubModel("org/name", COMMIT)


@pytest.mark.parametrize("uri", ["hf://name", "hf://org/name/more", "hf://../etc"])
def test_a_hub_uri_that_is_no_repository_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not hf://org/name"):
        locations.parse(uri, COMMIT, rules(tmp_path))


@pytest.mark.parametrize("uri", ["https://example.com/model", "s3://bucket/model", "hf://org/name"])
def test_a_source_that_is_not_on_the_list_is_refused(uri: str, tmp_path: Path) -> None:
    allowed = locations.Rules(uris=("hf://meta-llama/*", "file:*"), folders=(tmp_path,))
    with pytest.raises(PermissionDenied, match="POSOLOGY_ALLOWED_MODEL_URIS"):
        locations.parse(uri, COMMIT, allowed)


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_a_folder_below_an_allowed_one_is_read(form: str, tmp_path: Path) -> None:
    found = locations.parse(form.format(model_folder(tmp_path / "a model")), "", rules(tmp_path))
    assert found == locations.LocalFolder(tmp_path / "a model")


def test_a_folder_outside_the_allowed_ones_is_refused_also_through_a_link(tmp_path: Path) -> None:
    outside = model_folder(tmp_path / "outside")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    for path in (outside, inside / "link", inside / ".." / "outside"):
        with pytest.raises(PermissionDenied, match="outside the folders"):
            locations.parse(f"file:{path}", "", rules(inside))


def test_a_file_that_links_out_of_the_allowed_folders_is_not_copied(tmp_path: Path) -> None:
    found = model_folder(tmp_path / "allowed" / "model")
    (tmp_path / "secret").write_text("{}")
    (found / "generation_config.json").symlink_to(tmp_path / "secret")
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(PermissionDenied):
        fetching.from_folder(locations.LocalFolder(found), into, allowed=AllowedLocations((tmp_path / "allowed",)))


def test_only_model_files_are_copied(tmp_path: Path) -> None:
    found = model_folder(tmp_path / "model")
    for name in ("modeling_evil.py", "pytorch_model.bin", "training_args.bin"):
        (found / name).write_text("import os")
    into = tmp_path / "into"
    into.mkdir()
    fetching.from_folder(locations.LocalFolder(found), into, allowed=AllowedLocations((tmp_path,)))
    assert {path.name for path in into.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    }
    assert folder.check(into).parameters == 16


def test_pickled_weights_alone_are_refused(tmp_path: Path) -> None:
    found = model_folder(tmp_path / "model")
    (found / "model.safetensors").rename(found / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"pytorch_model.bin: is a pickle"):
        folder.check(found)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        folder.check_names(["README.md"])
    assert {each.field for each in raised.value.violations} == {
        "config.json",
        "*.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_a_model_without_chat_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="import the instruct variant"):
        folder.check(model_folder(tmp_path / "model", template=False))


def test_a_shard_that_the_index_names_and_nobody_has_is_named(tmp_path: Path) -> None:
    found = model_folder(tmp_path / "model")
    (found / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-2.safetensors"}}))
    with pytest.raises(InvalidInput, match=r"model-2.safetensors: is named in"):
        folder.check(found)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    found = model_folder(tmp_path / "model")
    config = json.loads((found / "config.json").read_text())
    (found / "config.json").write_text(json.dumps({**config, "quantization_config": {}}))
    with pytest.raises(InvalidInput, match="import the original weights"):
        folder.check(found)
