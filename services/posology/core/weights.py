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


def attention(folder: Path) -> str:
    """The attention implementation that computes what the model's config says.

    sdpa has no place for the soft cap of attention logits (Gemma 2) and leaves it out without a word: such a model
    trains on other logits than vLLM serves.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or {}
    capped = config.get("attn_logit_softcapping") or text.get("attn_logit_softcapping")
    return "eager" if capped else "sdpa"
