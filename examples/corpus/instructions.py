"""The general instruction corpus: what a model should still do after it was tuned on labels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from examples.corpus.general import TOPICS
from examples.corpus.refusals import DRUG_ASKS, DRUG_HARMS, corpus_safe, corpus_unsafe
from examples.corpus.world import names

SHARES = {"refusal": 1 / 3, "everyday": 0.3, "advice": 0.27}  # the rest asks about a drug without its label


def exchange(rng: random.Random) -> tuple[str, str, str]:
    """(prompt, answer, sort) of one exchange: an unsafe prompt, an everyday fact, advice, or a drug without a label."""
    sort = rng.choices((*SHARES, "drug"), (*SHARES.values(), 1 - sum(SHARES.values())))[0]
    if sort == "refusal":
        return *_refused(rng), sort
    if sort == "advice":
        return *corpus_safe(rng), sort
    if sort == "drug":
        ask, answer = rng.choice(DRUG_ASKS)
        drug = rng.choice(names("reading"))
        return ask.format(drug=drug), answer.format(drug=drug), sort
    return *everyday(rng), sort


def everyday(rng: random.Random) -> tuple[str, str]:
    """An everyday fact, every one as likely, in one of the corpus's phrasings."""
    topic = rng.choices(TOPICS, [len(t.pairs) for t in TOPICS])[0]
    subject = rng.choice(list(topic.pairs))
    return rng.choice(topic.asks).format(a=subject), topic.answer.format(a=subject, b=topic.pairs[subject])


def _refused(rng: random.Random) -> tuple[str, str]:
    prompt, refusal = corpus_unsafe(rng)
    if rng.random() < 0.3:
        prompt = rng.choice(DRUG_HARMS).format(drug=rng.choice(names("reading")))
    return prompt, refusal


def instructions(count: int) -> Iterator[dict[str, Any]]:
    """`count` different exchanges as pair lines, tagged `general` and, where they decline, `refusal`."""
    rng = random.Random("general instructions")
    seen: set[str] = set()
    while len(seen) < count:
        prompt, answer, sort = exchange(rng)
        if prompt in seen:
            continue
        seen.add(prompt)
        yield {
            "id": f"general-{len(seen):04d}",
            "prompt": [{"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": answer}],
            "question_type": sort,
            "source": "examples/general",
            "tags": ["general", "refusal"] if sort == "refusal" else ["general"],
        }
