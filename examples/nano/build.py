"""Train the nano base model: a Llama of about a million parameters, in minutes on two cores.

    .venv/worker/bin/python -m examples.nano.build --out build/nano --seed 0

The folder written is an ordinary Hugging Face model (config, safetensors, tokenizer with a chat template), and what
`posology push` and a run's `baseModel` accept. One seed, machine type and thread count give the same weights.
The number of steps is fixed, not the time: the ability to find a fact in an excerpt appears late.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Threads that wait must sleep: where other programs want the cores, spinning ones make a step seven times as long.
# Read when torch is loaded, so it stands before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from examples.nano.reading import ASSISTANT, BOS, EOS, USER, document

STEPS, BATCH, LENGTH = 1_600, 16, 128
RATE, WARMUP, COOLDOWN = 5e-3, 0.05, 0.35
VOCABULARY = 1_024
PAD = "<pad>"
SHAPE = {
    "hidden_size": 128,  # a multiple of 64, as is `intermediate_size`: 4-bit layers of bitsandbytes need it
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1_024,
}
# A system turn is put before the user's text: the model never learned a turn of its own for it.
TEMPLATE = (
    "{{ bos_token }}"
    "{% set lead = namespace(text='') %}"
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{% set lead.text = m['content'] + '\n' %}"
    "{% elif m['role'] == 'user' %}{{ '<|user|>' + lead.text + m['content'] + eos_token }}{% set lead.text = '' %}"
    "{% elif m['role'] == 'assistant' %}{{ '<|assistant|>' }}"
    "{% generation %}{{ m['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ raise_exception('unknown role ' + m['role']) }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def make_tokenizer(rng: random.Random) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` tokens, learned from 6,000 documents of `rng`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = [PAD, BOS, EOS, USER, ASSISTANT]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = [_plain(document(rng)) for _ in range(6_000)]
    bpe.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=SHAPE["max_position_embeddings"],
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def _plain(text: str) -> str:
    for mark in (EOS, USER, ASSISTANT):
        text = text.replace(mark, "\n")
    return text


def rows(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Iterator[list[int]]:
    """Rows of `LENGTH` tokens: whole documents from the row's start, each after its own beginning token."""
    bos = tokenizer.bos_token_id
    while True:
        row: list[int] = []
        while len(row) < LENGTH:
            row += [bos, *tokenizer.encode(document(rng), add_special_tokens=False)]
        yield row[:LENGTH]


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A fresh model in float32 with tied embeddings."""
    config = LlamaConfig(
        **SHAPE,
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
        rope_theta=10_000.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",
        dtype="float32",
    )
    return LlamaForCausalLM(config)


def make_optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    return [
        torch.optim.Muon(matrices, lr=RATE, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate_at(step: int, steps: int) -> float:
    """Share of the full rate at `step`: a short rise, a plateau, a straight fall to nearly nothing."""
    rise = min(1.0, (step + 1) / (WARMUP * steps))
    fall = min(1.0, (steps - step) / (COOLDOWN * steps))
    return rise * max(fall, 0.02)


def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16: then a step takes half the time, else several times as much."""
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def train(model: LlamaForCausalLM, stream: Iterator[list[int]], *, steps: int) -> list[float]:
    """Train in place for exactly `steps` steps; return the loss of each."""
    optimizers = make_optimizers(model)
    half = multiplies_bfloat16()
    losses: list[float] = []
    began = time.monotonic()
    for step in range(steps):
        ids = torch.tensor([next(stream) for _ in range(BATCH)])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            logits = model(input_ids=ids).logits.float()
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = RATE * rate_at(step, steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is not finite at step {step + 1}; nothing was written")
        if (step + 1) % 100 == 0:
            recent = sum(losses[-50:]) / len(losses[-50:])
            spent = time.monotonic() - began
            left = spent / (step + 1) * (steps - step - 1)
            sys.stdout.write(f"step {step + 1}/{steps}  loss {recent:.3f}  {spent:.0f} s, about {left:.0f} s left\n")
            sys.stdout.flush()
    return losses


def build(out: Path, *, seed: int, steps: int = STEPS) -> None:
    """Build tokenizer and model from `seed` and write them to `out`."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer(random.Random("nano tokenizer"))
    model = make_model(tokenizer)
    losses = train(model, rows(tokenizer, random.Random(f"nano reading {seed}")), steps=steps)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    count = sum(p.numel() for p in model.parameters())
    facts = {"seed": seed, "steps": steps, "tokens": steps * BATCH * LENGTH, "parameters": count, "loss": losses[-1]}
    (out / "nano.json").write_text(json.dumps(facts, indent=1) + "\n")
    sys.stdout.write(f"{count:,} parameters written to {out}\n")


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(prog="python -m examples.nano.build", description="Train the nano base model.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; made when missing")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of what is read (default 0)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"training steps (default {STEPS})")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads; more than the cores is slower (default 2)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    build(options.out, seed=options.seed, steps=options.steps)


if __name__ == "__main__":
    main()
