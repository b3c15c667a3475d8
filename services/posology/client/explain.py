"""From an answer up the graph: what gave it, what released that, what it was made from; and label text that is near."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posology.client import envelopes
from posology.client.nearest import Corpus, words
from posology.client.stored import Stored
from posology.core import schema
from posology.core.attestations.review import PREDICATE_TYPE as REVIEW_PREDICATE
from posology.core.attestations.verdict import FILE as VERDICT_FILE
from posology.core.errors import NotFound
from posology.v1alpha1 import catalog_pb2, gateway_pb2, serving_pb2

if TYPE_CHECKING:
    from posology.client.client import Client

CAUTION = "nearest in wording, not proof of cause"
UNKNOWN_KIND = "unknown"
"""What the catalog calls an artifact that it does not list (any more)."""
_GENERAL = "general"
_MARKER = "\nQuestion: "
"""What open-book prompts have between excerpt and question."""


@dataclass(frozen=True)
class Sentence:
    """A pair of the data set that is near in wording to the question, and the label sentence that it rests on."""

    score: float
    shared: tuple[str, ...]
    drug: str
    section: str
    section_title: str
    section_code: str
    set_id: str
    evidence: str
    source: str
    pair: str
    question: str
    answer: str
    split: str
    """`training`: the model learnt from it; `validation`: it was held out."""


@dataclass(frozen=True)
class Explanation:
    """An answer and everything that stands behind it; what is not known (any more) is empty."""

    answer: Mapping[str, Any]
    deployment: Mapping[str, Any]
    verdict: Mapping[str, Any]
    """`outcome`, `gates` (one sentence each), `digest`."""
    made_from: tuple[Mapping[str, Any], ...]
    """The weights first, then everything behind them, nearest first."""
    reviews: tuple[Mapping[str, Any], ...]
    dataset: str
    """The data set that the weights were trained on."""
    question: str
    question_from: str
    """Where the question's text comes from, in words; why there is none, if there is none."""
    sentences: tuple[Sentence, ...]
    unseen: tuple[str, ...]
    """Words of the question that stand in no pair."""
    caution: str = CAUTION
    unread: tuple[str, ...] = ()
    """What stands behind the answer and can't be read here, a sentence each: it is not known, which is not the same as
    that there is nothing."""


async def explain(client: "Client", answer: str, *, question: str = "", count: int = 5) -> Explanation:
    """Everything behind an answer; NotFound for an unknown one. `question` serves where no text is kept."""
    record = await client.answer(answer)
    stored = client.stored()
    graph = await client.trace(record.model) if record.model else []
    trained_on = await asyncio.to_thread(training_set, stored, graph)
    text, origin = asked(record, question)
    near = await asyncio.to_thread(sentences, stored, trained_on, text, count) if text and trained_on else ((), ())
    statement = await asyncio.to_thread(_statement, stored, record.verdict)
    behind = [("verdict", record.verdict, "its gates and reviews"), ("dataset", trained_on, "its label text")]
    unread = [
        f"the {kind} {digest} can't be read here, so {what} are not known"
        for kind, digest, what in behind
        if digest and await asyncio.to_thread(stored.holding, digest) is None
    ]
    unread += [
        f"{artifact.digest}, from which these weights were made, is not listed here; what it is, is not known"
        for artifact in graph
        if artifact.kind == UNKNOWN_KIND
    ]
    return Explanation(
        answer=schema.to_mapping(record),
        deployment=await _deployment(client, record.deployment),
        verdict=verdict_line(record.verdict, statement),
        made_from=tuple(schema.to_mapping(artifact) for artifact in graph),
        reviews=tuple(reviews(statement)),
        dataset=trained_on,
        question=text,
        question_from=origin,
        sentences=near[0],
        unseen=near[1],
        unread=tuple(unread),
    )


def asked(record: gateway_pb2.Answer, question: str) -> tuple[str, str]:
    """The question's text, and where it comes from in words."""
    if record.prompt and not question:
        return last_question(json.loads(record.prompt)), "from the gateway's record"
    if question and record.prompt:
        return question, "as given; the gateway's record holds the text that was really asked"
    if question and _hash_of(question) == record.prompt_sha256:
        return question, "as given; its hash is the record's, so this was asked"
    if question:
        return question, "as given; the record holds a hash only, and this text alone does not have it"
    return "", "the gateway keeps hashes only here; give the question with --question to find label text"


def last_question(prompt: Any) -> str:
    """The last thing that a user said in a prompt, as text."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, Mapping):
        content = prompt.get("content", prompt.get("text", ""))
        return content if isinstance(content, str) else last_question(content)
    if isinstance(prompt, Sequence):
        turns = [turn for turn in prompt if not isinstance(turn, Mapping) or turn.get("role", "user") == "user"]
        return last_question(turns[-1]) if turns else ""
    return ""


def _hash_of(question: str) -> str:
    """What the gateway writes for this question asked alone."""
    prompt = json.dumps([{"content": question, "role": "user"}], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(prompt.encode()).hexdigest()


# --- the graph -------------------------------------------------------------------------------------


def training_set(stored: Stored, graph: Sequence[catalog_pb2.Artifact]) -> str:
    """The nearest data set behind the weights: the one that training read, reviewed if there was a review."""
    return next((artifact.digest for artifact in graph if artifact.kind == "dataset"), "")


async def _deployment(client: "Client", name: str) -> Mapping[str, Any]:
    if not name:
        return {}
    try:
        deployment = await client.serving.GetDeployment(serving_pb2.GetDeploymentRequest(name=name))
    except NotFound:
        return {"name": name, "state": "unknown"}
    return schema.to_mapping(deployment)


def _statement(stored: Stored, verdict: str) -> Mapping[str, Any]:
    """What the verdict's artifact says; empty where it is gone."""
    if not verdict or not stored.has(verdict, VERDICT_FILE):
        return {}
    return envelopes.payload(stored.json(verdict, VERDICT_FILE))


def verdict_line(digest: str, statement: Mapping[str, Any]) -> dict[str, Any]:
    """Outcome, and each gate in one line."""
    predicate = statement.get("predicate", {})
    gates = [_gate_line(g["suite"], g["metric"], g["explanation"]) for g in predicate.get("gates", ())]
    return {"digest": digest, "outcome": predicate.get("outcome", ""), "gates": gates}


def _gate_line(suite: str, metric: str, explanation: str) -> str:
    """A gate in one line; sentences of parity begin with the step, which is in the metric too."""
    head = suite if suite == metric else f"{suite} {metric}"
    step, colon, rest = explanation.partition(": ")
    return f"{head}: {rest if colon and metric.endswith(step) else explanation}"


def reviews(statement: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The reviews that the verdict carries along: what was reviewed, by whom, with which bound."""
    carried = [envelopes.payload(one["envelope"]) for one in statement.get("predicate", {}).get("statements", ())]
    return [
        {
            "subject": review["predicate"]["subject"],
            "artifact": review["predicate"]["artifact"],
            "result": review["predicate"]["result"],
            "rated": review["predicate"]["rated"],
            "errors": review["predicate"]["errors"],
            "upperBound": review["predicate"]["upper_bound"],
            "limit": review["predicate"]["policy"]["max_error_rate"],
            "reviewerKinds": review["predicate"]["reviewer_kinds"],
        }
        for review in carried
        if review["predicateType"] == REVIEW_PREDICATE
    ]


# --- label sentences ------------------------------------------------------------------------------


def sentences(stored: Stored, dataset: str, question: str, count: int) -> tuple[tuple[Sentence, ...], tuple[str, ...]]:
    """The pairs nearest to the question, one for each label sentence, and the question's words that no pair has."""
    pairs = [
        (split, row)
        for split, path in (("training", "train.jsonl"), ("validation", "validation.jsonl"))
        for row in stored.rows(dataset, path)
        if _GENERAL not in row["tags"]
    ]
    sections = {row["id"]: row for row in stored.rows(dataset, "sections.jsonl")}
    question = behind_excerpt(question)
    corpus = Corpus(f"{_user(row)} {row['evidence']}" for _, row in pairs)
    nearest: dict[tuple[str, str], Sentence] = {}
    for near in corpus.nearest(question, count=max(20 * count, 200)):
        split, row = pairs[near.index]
        key = (row["section"], row["evidence"])
        nearest.setdefault(key, _sentence(near.score, near.shared, split, row, sections.get(row["section"], {})))
    return tuple(nearest.values())[:count], tuple(corpus.unseen(question)) if words(question) else ()


def _sentence(
    score: float, shared: tuple[str, ...], split: str, row: Mapping[str, Any], section: Mapping[str, Any]
) -> Sentence:
    return Sentence(
        score=round(score, 4),
        shared=shared,
        drug=row["drug"],
        section=row["section"],
        section_title=section.get("title", ""),
        section_code=section.get("code", ""),
        set_id=section.get("set_id", ""),
        evidence=row["evidence"],
        source=row["source"],
        pair=row["id"],
        question=_user(row),
        answer=row["completion"][0]["content"],
        split=split,
    )


def behind_excerpt(prompt: str) -> str:
    """The question alone, where an open-book prompt puts an excerpt before it."""
    return prompt.rpartition(_MARKER)[2].strip()


def _user(row: Mapping[str, Any]) -> str:
    return behind_excerpt("\n".join(turn["content"] for turn in row["prompt"] if turn["role"] == "user"))
