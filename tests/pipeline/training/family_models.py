"""Run by the worker python: tiny, randomly initialised models of many families; takes {folder: family} as JSON.

Each has what its family is known for: soft caps, sinks, sliding windows, tied heads, fused projections, experts, and a
template in the family's form, some without a system role.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import AutoConfig

SMALL = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,
}
WINDOW = {"sliding_window": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama3": {"model_type": "llama", "tie_word_embeddings": False, "rope_theta": 500000.0},
    "gemma2": {
        "model_type": "gemma2",
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "query_pre_attn_scalar": 32,
        **WINDOW,
    },
    "gemma3": {"model_type": "gemma3_text", "query_pre_attn_scalar": 32, **WINDOW},
    "qwen3": {"model_type": "qwen3", "tie_word_embeddings": True},
    "mistral": {"model_type": "mistral", **WINDOW},
    "phi3": {"model_type": "phi3", **WINDOW},
    "gpt-oss": {"model_type": "gpt_oss", "num_local_experts": 4, "num_experts_per_tok": 2, **WINDOW},
}
LLAMA = (
    "<|start|>{% for m in messages %}<|head|>{{ m['role'] }}<|/head|>\n\n{{ m['content'] | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
GEMMA2 = (
    "<|start|>{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<|head|>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}"
    "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|head|>model\n{% endif %}"
)
MISTRAL = (
    "<|start|>{% for m in messages %}{% if m['role'] == 'user' %}<|head|>{{ m['content'] }}<|/head|>"
    "{% elif m['role'] == 'system' %}<|head|>{{ m['content'] }}<|/head|>{% else %} {{ m['content'] }}<|end|>{% endif %}"
    "{% endfor %}"
)
HARMONY = (
    "{% for m in messages %}<|start|>{{ m['role'] }}{% if m['role'] == 'assistant' %}<|head|>final{% endif %}<|/head|>"
    "{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|head|>final<|/head|>{% endif %}"
)
TEMPLATES = {"gemma2": GEMMA2, "gemma3": GEMMA2.replace("raise_exception('System role not supported')", "''"),
             "mistral": MISTRAL, "gpt-oss": HARMONY}  # fmt: skip


def build(folder: Path, family: str) -> None:
    """Weights are noise; shapes, parts and template are the family's."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    tokenizer.chat_template = TEMPLATES.get(family, LLAMA)
    tokenizer.save_pretrained(folder)
    options = {**SMALL, **FAMILIES[family]}
    ids = {"bos_token_id": 1, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = AutoConfig.for_model(options.pop("model_type"), **options, **ids)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|start|>", "<|end|>", "<|head|>", "<|/head|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        ["the dose of zorvex is 10 mg daily", "what is the dose of it?"],
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|end|>", bos_token="<|start|>"
    )


if __name__ == "__main__":
    for folder, family in json.loads(sys.argv[1]).items():
        build(Path(folder), family)
