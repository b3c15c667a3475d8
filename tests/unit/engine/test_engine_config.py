"""The engine's configuration: what a verdict is bound to."""

from dataclasses import replace
from pathlib import Path

import pytest

from posology.engine import EngineConfig, EngineHost, chat_template_digest
from posology.engine.command import command, environment


def test_any_setting_that_may_change_an_answer_changes_the_digest() -> None:
    plain = EngineConfig()
    changed = [
        replace(plain, dtype="bfloat16"),
        replace(plain, max_model_len=4096),
        replace(plain, enforce_eager=False),
        replace(plain, seed=1),
        replace(plain, generation_config="auto"),
        replace(plain, chat_template="sha256:aa"),
        replace(plain, engine_version="0.32.0"),
    ]
    assert len({c.digest for c in [plain, *changed]}) == len(changed) + 1


def test_a_configuration_survives_json_and_refuses_a_key_it_does_not_know() -> None:
    config = EngineConfig(dtype="float32", max_model_len=512)
    assert EngineConfig.from_dict(config.to_dict()) == config
    with pytest.raises(TypeError, match="kv_cache_dtype"):
        EngineConfig.from_dict({"kv_cache_dtype": "fp8"})


def test_differences_name_field_and_both_values() -> None:
    assert EngineConfig(dtype="float32").differences(EngineConfig(dtype="bfloat16")) == (
        "dtype is 'bfloat16', not 'float32'",
    )


def test_the_template_digest_is_the_same_in_both_places_where_transformers_writes_it(tmp_path: Path) -> None:
    old, new, none = tmp_path / "old", tmp_path / "new", tmp_path / "none"
    for folder in (old, new, none):
        folder.mkdir()
    (old / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (new / "chat_template.jinja").write_text("{{ messages }}")
    assert chat_template_digest(old) == chat_template_digest(new) != ""
    assert chat_template_digest(none) == ""


def test_the_engine_listens_on_loopback_and_shares_its_caches(tmp_path: Path) -> None:
    host = EngineHost(python="python", cache_dir=tmp_path, threads=2)
    words = command(tmp_path, EngineConfig(dtype="float32"), host, port=9, name="m")
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--dtype") + 1] == "float32"
    found = environment(host, EngineConfig(), inherited={"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/h"})
    assert "PYTHONDONTWRITEBYTECODE" not in found
    assert found["VLLM_CACHE_ROOT"].startswith(str(tmp_path))
    assert (found["HOME"], found["OMP_NUM_THREADS"]) == ("/h", "2")


def test_an_eager_engine_needs_no_compiler(tmp_path: Path) -> None:
    host = EngineHost(python="python", cache_dir=tmp_path)
    assert environment(host, EngineConfig(), inherited={})["TORCHDYNAMO_DISABLE"] == "1"
    assert "TORCHDYNAMO_DISABLE" not in environment(host, EngineConfig(enforce_eager=False), inherited={})
