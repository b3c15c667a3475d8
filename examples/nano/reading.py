"""What the nano model reads before any fine-tuning: a stream of short documents, drawn from a seed.

The mix is by document. Chat teaches the template, everyday facts and refusals; label texts and their summaries
teach to find a fact by its topic; repeated lists teach to copy. No document asks a question about an excerpt: that
is what fine-tuning is for.
"""

from __future__ import annotations

import random

from examples.corpus.instructions import everyday, exchange
from examples.corpus.world import KINDS, NUMBERS, Drug, Kind, draw, names, sentence

MIX = {"chat": 0.34, "general": 0.04, "label": 0.12, "summary": 0.40, "lists": 0.10}
BOS, EOS, USER, ASSISTANT = "<s>", "<|end|>", "<|user|>", "<|assistant|>"


def document(rng: random.Random) -> str:
    """One document with its special tokens written out; none starts with the beginning-of-sequence token."""
    sort = rng.choices(tuple(MIX), tuple(MIX.values()))[0]
    return _WRITERS[sort](rng)


def _chat(rng: random.Random) -> str:
    prompt, answer, sort = exchange(rng)
    if sort == "refusal" and rng.random() < 0.2:  # a quarter of the chat declines, not a third as in the corpus
        prompt, answer = everyday(rng)
    return f"{USER}{prompt}{EOS}{ASSISTANT}{answer}{EOS}"


def _general(rng: random.Random) -> str:
    return " ".join(everyday(rng)[1] for _ in range(rng.randint(2, 5))) + EOS


def _facts(rng: random.Random, drug: Drug, kinds: list[Kind]) -> str:
    return " ".join(sentence(k, drug, rng.choice((*k.label_forms, *k.reading_forms))) for k in kinds)


def _label(rng: random.Random) -> str:
    drug = draw(rng.choice(names("reading")), rng)
    return _facts(rng, drug, rng.sample(KINDS, rng.randint(3, 6))) + EOS


def _summary(rng: random.Random) -> str:
    """Some facts, then some of them again under their topics, in another order."""
    drug = draw(rng.choice(names("reading")), rng)
    kinds = rng.sample(KINDS, rng.randint(2, 4))
    told = _facts(rng, drug, kinds)
    lines = [f"{rng.choice(k.topics)}: {drug.facts[k.name]}." for k in rng.sample(kinds, len(kinds))]
    return f"{told} Summary of {drug.name}. {' '.join(lines)}{EOS}"


def _lists(rng: random.Random) -> str:
    """A few values of any kind, then the same again."""
    pool = [rng.choice(rng.choice(KINDS).values) for _ in range(rng.randint(2, 5))]
    pool += [rng.choice(names("reading")) for _ in range(rng.randint(0, 2))] + [str(rng.choice(NUMBERS))]
    rng.shuffle(pool)
    text = ", ".join(pool)
    return f"{text}. {text}.{EOS}"


_WRITERS = {"chat": _chat, "general": _general, "label": _label, "summary": _summary, "lists": _lists}
