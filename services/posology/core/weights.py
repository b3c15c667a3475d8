"""How weights are loaded where more than one process must load them alike; no library is imported for it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NF4: Mapping[str, Any] = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
}
"""Arguments of transformers' BitsAndBytesConfig under QLORA: what training saw is what is merged and compared."""


CAPPED_BY_DEFAULT = frozenset({"gemma2", "t5gemma", "vaultgemma"})
"""Values of `model_type` whose attention logits are capped where the config does not say, as transformers reads it."""


def attention(folder: Path) -> str | None:
    """The attention implementation that computes what the model's config says; None leaves it to the library.

    sdpa has no place for the soft cap of attention logits (Gemma 2) and leaves it out without a word: such a model
    trains on other logits than vLLM serves. The library's own choice is sdpa wherever an architecture has it; asking
    for it by name fails for those that have none (gpt-oss, BLOOM, MPT).
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    parts = [config, config.get("text_config") or {}]
    return "eager" if any(map(_capped, parts)) else None


def _capped(config: Mapping[str, Any]) -> bool:
    by_default = str(config.get("model_type", "")).removesuffix("_text") in CAPPED_BY_DEFAULT
    return bool(config.get("attn_logit_softcapping", by_default))
