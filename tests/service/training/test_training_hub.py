"""Fetching a base model from a hub, over its real client and a local server of its protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hub_server import Hub, serving
from support.model_files import write_model

from posology.core.errors import DataCorrupt, InvalidInput, NotFound, PermissionDenied, Unavailable
from posology.training.base_models import fetching
from posology.training.base_models.locations import HubModel

COMMIT = "c" * 40
SOURCE = HubModel("org/model", COMMIT)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A repository with a model, and things that a model does not need."""
    folder = write_model(tmp_path / "repository")
    (folder / "modeling_custom.py").write_text("import os")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "README.md").write_text("# a model")
    (folder / "original").mkdir()
    (folder / "original/consolidated.00.pth").write_bytes(b"\x80\x04.")
    with serving(Hub("org/model", COMMIT, folder)) as found:
        yield found


def fetch(hub: Hub, into: Path, source: HubModel = SOURCE, *, token: str | None = None) -> list[str]:
    into.mkdir(exist_ok=True)
    fetching.from_hub(source, into, endpoint=hub.url, token=token, progress=lambda done, total, message: None)
    return sorted(path.name for path in into.iterdir())


def test_only_safetensors_config_and_tokenizer_are_downloaded(hub: Hub, tmp_path: Path) -> None:
    found = fetch(hub, tmp_path / "into")
    assert found == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert (tmp_path / "into/model.safetensors").read_bytes() == (hub.folder / "model.safetensors").read_bytes()
    assert not any(path.endswith((".py", ".bin", ".pth")) for path in hub.paths)


def test_a_gated_model_is_fetched_with_its_token_and_refused_without(hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    with pytest.raises(PermissionDenied, match="set credentialsSecret"):
        fetch(hub, tmp_path / "into")
    assert len(fetch(hub, tmp_path / "into", token="hf_secret")) == 4


def test_a_commit_that_does_not_exist_is_not_found(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="has no commit"):
        fetch(hub, tmp_path / "into", HubModel("org/model", "d" * 40))


def test_a_model_that_does_not_exist_is_not_found(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not on the hub"):
        fetch(hub, tmp_path / "into", HubModel("org/other", COMMIT))


def test_a_file_that_was_altered_on_the_way_is_refused_by_name(hub: Hub, tmp_path: Path) -> None:
    hub.corrupt = "model.safetensors"
    with pytest.raises(DataCorrupt, match=r"model.safetensors arrived with sha256"):
        fetch(hub, tmp_path / "into")
    assert not (tmp_path / "into/model.safetensors").exists()


def test_pickled_weights_alone_are_refused_before_a_byte_is_fetched(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"pytorch_model.bin: is a pickle"):
        fetch(hub, tmp_path / "into")
    assert not any("/resolve/" in path for path in hub.paths)


def test_a_hub_that_is_away_may_be_tried_again(tmp_path: Path) -> None:
    hub = Hub("org/model", COMMIT, tmp_path, url="http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        fetch(hub, tmp_path / "into")
