"""Which attention a model is loaded with: the one that computes what its config says."""

import json
from pathlib import Path
from typing import Any

import pytest

from posology.core.weights import attention

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0}, "eager"),
        ({"model_type": "gemma2"}, "eager"),  # the library's default is a cap of 50
        ({"model_type": "vaultgemma"}, "eager"),
        ({"model_type": "gemma2", "attn_logit_softcapping": None}, None),
        ({"model_type": "gemma3_text", "attn_logit_softcapping": None}, None),
        ({"model_type": "gemma3_text"}, None),
        ({"model_type": "some_vlm", "text_config": {"model_type": "gemma2"}}, "eager"),
        ({"model_type": "gemma3", "text_config": {"attn_logit_softcapping": 30.0}}, "eager"),
        ({"model_type": "llama", "text_config": None}, None),
        ({"model_type": "gpt_oss"}, None),  # asking for sdpa by name would fail: the library knows better
    ],
)
def test_a_cap_on_attention_is_computed_and_the_rest_left_to_the_library(
    config: dict[str, Any], expected: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert attention(tmp_path) == expected


def test_no_worker_names_an_attention_implementation_of_its_own() -> None:
    loaders = [path for path in (ROOT / "services").rglob("*.py") if "attn_implementation" in path.read_text()]
    assert loaders
    for path in loaders:
        text = path.read_text()
        assert text.count("attn_implementation") == text.count("attention(folder)"), path.name
