"""Run by the worker python: a Llama with random weights in bf16 and a small byte-level tokenizer, on disk."""

import json
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

case = json.loads(sys.argv[1])
raw = Tokenizer(models.BPE())
raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
raw.decoder = decoders.ByteLevel()
raw.train_from_iterator(
    ["take the dose with food once daily"],
    trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ),
)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|im_end|>")
tokenizer.chat_template = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
tokenizer.save_pretrained(case["folder"])
config = LlamaConfig(
    vocab_size=case["vocabulary"],
    hidden_size=case["hidden"],
    intermediate_size=case["intermediate"],
    num_hidden_layers=case["layers"],
    num_attention_heads=case["heads"],
    num_key_value_heads=case["kv"],
    max_position_embeddings=8192,
    eos_token_id=tokenizer.eos_token_id,
    bos_token_id=None,
    pad_token_id=tokenizer.pad_token_id,
    dtype="bfloat16",
)
torch.set_default_dtype(torch.bfloat16)
with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
    model = LlamaForCausalLM(config)
model.save_pretrained(case["folder"])
print("RESULT", json.dumps({"parameters": model.num_parameters()}))
