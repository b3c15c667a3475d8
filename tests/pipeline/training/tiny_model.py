"""Run by the worker python: writes tiny, randomly initialised Llamas; takes {folder: options} as JSON."""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {
    "good": TEMPLATE,
    "none": None,
    "no-end-of-turn": TEMPLATE.replace("<|im_end|>", ""),
    "think": TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think></think>{% endif %}"),
}


def build(
    folder: Path,
    *,
    template: str = "good",
    hidden: int = 64,
    layers: int = 2,
    heads: int = 2,
    intermediate: int = 128,
    vocabulary: int = 320,
    seed: int = 0,
) -> None:
    """A model of about 0.1M parameters whose answers are noise, but whose format is a real one."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    tokenizer.chat_template = TEMPLATES[template]
    tokenizer.save_pretrained(folder)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=max(vocabulary, len(tokenizer)),
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=1,
            max_position_embeddings=512,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=False,
            initializer_range=0.1,
        )
    )
    model.save_pretrained(folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        ["the dose of zorvex is 10 mg daily", "what is the dose of it?"],
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet),
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|im_end|>")


if __name__ == "__main__":
    for folder, options in json.loads(sys.argv[1]).items():
        build(Path(folder), **options)
