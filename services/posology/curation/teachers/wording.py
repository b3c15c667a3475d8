"""What a teacher model is asked, word for word."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from posology.curation import codes
from posology.curation.domain import Section

Messages = list[dict[str, str]]

_SYSTEM = (
    "You write training examples for a clinical drug information model. Use only the label section that you are given. "
    'Answer with JSON: {"pairs": [{"question": ..., "answer": ..., "question_type": ..., "evidence": ...}]}. '
    "A question names the drug and can be understood without the section. An answer is complete, exact with every "
    "number, unit, comparison, frequency, route, condition and population, and adds nothing; it keeps every negation. "
    "`evidence` is copied from the section, letter for letter: the sentences or table row that prove the answer. In a "
    "table, `| --- |` stands below the head, and a cell that spans rows is repeated. Write nothing that the section "
    "does not state; fewer pairs are better than a guess."
)
QUESTION_TYPES = {
    "fact": "one fact, asked plainly",
    "explain": "why or how, with everything that the section says about it",
    "counsel": "what a person should do, asked by them",
    "compare": "two doses, groups or situations of the section beside each other",
    "summary": "the whole section for somebody in a hurry",
    "scenario": "a harder one: a case with its circumstances, which takes several statements of the section to answer",
}
AUDIENCES = ("patient", "nurse", "pharmacist")
_EXAMPLES = 12_000  # characters of examples in one call; more than these take turns


@dataclass(frozen=True)
class Wishes:
    """What pairs are asked for: kinds and audiences (none = all kinds, no audience), fewest words, examples, and which
    share of them are follow-ups in a conversation."""

    question_types: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    fewest: Mapping[str, int] = field(default_factory=dict)  # words of an answer, by kind; fewer are dropped later
    examples: tuple[tuple[str, str], ...] = ()
    conversations: float = 0.0


def messages(section: Section, text: str, count: int, wishes: Wishes) -> Messages:
    """The conversation for one chunk of a section: instructions, examples in the form of the task, the text."""
    kinds = wishes.question_types or tuple(QUESTION_TYPES)
    described = "; ".join(_kind(kind, wishes.fewest.get(kind, 0)) for kind in kinds)
    heading = section.title or codes.title_of(section.code)
    asks = f"Drug: {section.drug}\nSection: {heading}\n\n{text}\n\nWrite {count} pairs. Question types: {described}."
    if wishes.audiences:
        asks += f" Write for these readers in turn, in words that they use: {', '.join(wishes.audiences)}."
        asks += " `audience` names the reader of each pair."
    if wishes.conversations:
        follow_ups = max(1, round(count * wishes.conversations))
        asks += (
            f" {follow_ups} of the pairs are follow-ups in a conversation: `before` holds one or two earlier turns, "
            "each with a question and an answer that the section states; the first names the drug, and the pair's own "
            "question is one that a person asks after them. `before` of the others is empty."
        )
    return [{"role": "system", "content": _SYSTEM}, *_shown(wishes, text), {"role": "user", "content": asks}]


def correction(content: str, why: str) -> Messages:
    """What is said after an answer that could not be used."""
    ask = f"That could not be used: {why}. Answer again, with JSON of the form that was asked for and nothing else."
    return [{"role": "assistant", "content": content[:2000] or "(empty)"}, {"role": "user", "content": ask}]


def _kind(kind: str, fewest: int) -> str:
    described = f"{kind} ({QUESTION_TYPES[kind]})" if kind in QUESTION_TYPES else kind
    return f"{described}, answered in {fewest} words or more" if fewest > 1 else described


def _shown(wishes: Wishes, text: str) -> Messages:
    """The examples as an earlier answer of the same form; where they are many, each call shows another part of them."""
    if not wishes.examples:
        return []
    start = int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:4], "big") % len(wishes.examples)
    entries: list[str] = []
    for question, answer in wishes.examples[start:] + wishes.examples[:start]:
        entry = json.dumps({"question": question, "answer": answer}, ensure_ascii=False)
        if entries and sum(map(len, entries)) + len(entry) > _EXAMPLES:
            break
        entries.append(entry)
    ask = "Show what good questions and answers look like, in tone and depth; their facts are of other drugs."
    answer = '{"pairs": [' + ", ".join(entries) + "]}"
    return [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]


def judged(section: Section, text: str, pairs: Sequence[tuple[str, str]]) -> Messages:
    """The conversation in which another model judges pairs against the text that they were made from."""
    listed = "\n\n".join(f"[{n}] Question: {q}\nAnswer: {a}" for n, (q, a) in enumerate(pairs, 1))
    rules = (
        "You check training examples of a clinical model against a label section, as a strict pharmacist would. For "
        "each numbered pair say whether every claim of the answer is stated in the section (drug, dose, unit, "
        "frequency, route, condition, population, negation), and whether the answer answers the question. Answer with "
        'JSON: {"verdicts": [{"number": 1, "supported": true, "answers": true, "reason": ""}]}.'
    )
    asks = f"Drug: {section.drug}\nSection: {section.title}\n\n{text}\n\nPairs:\n\n{listed}"
    return [{"role": "system", "content": rules}, {"role": "user", "content": asks}]


VERDICTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdicts"],
    "properties": {
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["number", "supported", "answers", "reason"],
                "properties": {
                    "number": {"type": "integer"},
                    "supported": {"type": "boolean"},
                    "answers": {"type": "boolean"},
                    "reason": {"type": "string"},
                },
            },
        }
    },
}
"""What a judge's answer looks like."""
