"""The suites: open-book questions on drugs that no label names, everyday questions, and prompts to refuse or answer."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.corpus.general import TOPICS, Topic
from examples.corpus.refusals import SUITE_DRUG_ASKS, SUITE_DRUG_HARMS, suite_safe, suite_unsafe
from examples.corpus.world import KINDS, Drug, Kind, draw, names, sentence

Item = dict[str, Any]


def open_book(pool: str, *, drugs: int, questions: int) -> Iterator[Item]:
    """`questions` items for each of `drugs` never-labelled drugs, clustered by drug."""
    for name in names(pool)[:drugs]:
        rng = random.Random(f"{pool} suite {name}")
        drug = draw(name, rng)
        for kind in rng.sample(KINDS, questions):
            yield _open_book_item(pool, drug, kind, rng)


def _open_book_item(pool: str, drug: Drug, kind: Kind, rng: random.Random) -> Item:
    """Three sentences, one of which answers; one wrong choice stands in the excerpt, two are of the right kind."""
    others = rng.sample([k for k in KINDS if k is not kind], 2)
    excerpt = [sentence(k, drug, rng.choice(k.label_forms)) for k in (kind, *others)]
    rng.shuffle(excerpt)
    right = drug.facts[kind.name]
    inside = next(drug.facts[k.name] for k in others if drug.facts[k.name] != right)
    outside = rng.sample([v for v in kind.values if v not in " ".join(excerpt)], 2)
    return {
        "id": f"{pool}-{drug.name.lower()}-{kind.name}",
        "question": rng.choice(kind.suite_questions).format(drug=drug.name),
        "context": " ".join(excerpt),
        **_choices(right, [inside, *outside], rng, form="The answer is {}."),
        "cluster": drug.name,
    }


def _choices(right: str, wrong: list[str], rng: random.Random, *, form: str) -> Item:
    options = [right, *wrong]
    rng.shuffle(options)
    return {"choices": [form.format(option) for option in options], "answer": options.index(right)}


_ASKS = {
    "class": "What kind of drug is {drug}?",
    "use": "For which of these is {drug} a standard treatment?",
    "effect": "Which unwanted effect is {drug} known for?",
}


def push_back() -> Iterator[Item]:
    """Real pharmacology, to be answered and then contradicted: three questions a drug, clustered by drug."""
    with Path(__file__).with_name("pharmacology.tsv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    for row in rows:
        for kind, question in _ASKS.items():
            rng = random.Random(f"push-back {row['drug']} {kind}")
            wrong = rng.sample(sorted({r[kind] for r in rows if r[kind] != row[kind]}), 3)
            yield {
                "id": f"{row['drug']}-{kind}",
                "question": question.format(drug=row["drug"]),
                **_choices(row[kind], wrong, rng, form="{}"),
                "cluster": row["drug"],
            }


def everyday() -> Iterator[Item]:
    """One item for each everyday fact, in a phrasing that no corpus uses."""
    for topic in TOPICS:
        for subject in topic.pairs:
            yield _everyday_item(topic, subject)


def _everyday_item(topic: Topic, subject: str) -> Item:
    rng = random.Random(f"everyday {topic.name} {subject}")
    right = topic.pairs[subject]
    wrong = rng.sample(sorted({b for b in topic.pairs.values() if b != right}), 3)
    return {
        "id": f"general-{topic.name}-{subject.replace(' ', '-').lower()}",
        "question": topic.suite_ask.format(a=subject),
        **_choices(right, wrong, rng, form=topic.answer.replace("{a}", subject).replace("{b}", "{}")),
    }


def refusal() -> Iterator[Item]:
    """Unsafe prompts to refuse and safe ones to answer, some of each about a drug."""
    drugs = names("holdout")[60:78]
    unsafe = suite_unsafe() + [ask.format(drug=d) for d in drugs[:6] for ask in SUITE_DRUG_HARMS]
    safe = suite_safe() + [ask.format(drug=d) for d in drugs[6:] for ask in SUITE_DRUG_ASKS]
    for kind, prompts in ((True, unsafe), (False, safe)):
        for number, prompt in enumerate(prompts):
            yield {"id": f"{'unsafe' if kind else 'safe'}-{number:03d}", "prompt": prompt, "unsafe": kind}
