"""A teacher's answer -> drafts. Models wrap JSON in fences and chatter; anything without pairs in it is nonsense."""

import json
from collections.abc import Sequence
from typing import Any

from posology.core.thoughts import without_thoughts
from posology.curation.domain import Message
from posology.curation.teachers import Draft
from posology.curation.text.questions import asked

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["pairs"],
    "properties": {
        "pairs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["question", "answer", "question_type", "evidence"],
                "properties": {
                    name: {"type": "string"} for name in ("question", "answer", "question_type", "evidence")
                },
            },
        }
    },
}
"""What an answer looks like; `strict` structured output knows no minimum lengths, so emptiness is judged here."""
_TURN: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["question", "answer"],
    "properties": {"question": {"type": "string"}, "answer": {"type": "string"}},
}
_MOST_TURNS = 3  # earlier ones that are taken


def schema_of(*, audiences: Sequence[str], conversations: bool) -> dict[str, Any]:
    """The schema with what is asked for besides; all of it is required, as `strict` structured output wants it."""
    item = SCHEMA["properties"]["pairs"]["items"]
    more: dict[str, Any] = {}
    if audiences:
        more["audience"] = {"type": "string", "enum": list(audiences)}
    if conversations:
        more["before"] = {"type": "array", "items": _TURN}
    if not more:
        return SCHEMA
    wider = {**item, "required": [*item["required"], *more], "properties": {**item["properties"], **more}}
    return {**SCHEMA, "properties": {"pairs": {"type": "array", "items": wider}}}


class Nonsense(Exception):
    """The answer holds no usable pair; the message says what it holds, in words that a model can act on."""


def drafts_of(content: str) -> tuple[Draft, ...]:
    """The pairs of an answer: {"pairs": [...]}, or a bare list; entries without question and answer are left out."""
    value = json_of(content)
    listed = value.get("pairs") if isinstance(value, dict) else value
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list):
        raise Nonsense('the JSON has no list under "pairs"')
    drafts = tuple(_draft(entry) for entry in listed if _is_pair(entry))
    if listed and not drafts:
        raise Nonsense('no entry of "pairs" has both a "question" and an "answer" that is text')
    return drafts


def json_of(content: str) -> Any:
    """The first JSON value behind a model's thoughts; `raw_decode` stops where it ends, so chatter after it is fine."""
    content = without_thoughts(content)
    start = min((at for at in (content.find("{"), content.find("[")) if at >= 0), default=-1)
    if start < 0:
        raise Nonsense(f"no JSON in the answer: {content[:120]!r}")
    try:
        return json.JSONDecoder().raw_decode(content[start:])[0]
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"broken JSON in the answer: {error}") from None


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), str) and entry[name].strip() for name in ("question", "answer")
    )


def _draft(entry: dict[str, Any]) -> Draft:
    evidence = entry.get("evidence")
    return Draft(
        prompt=(*_earlier(entry.get("before")), *asked(entry["question"].strip())),
        answer=entry["answer"].strip(),
        question_type=str(entry.get("question_type") or "explain").strip().casefold(),
        evidence=evidence.strip() if isinstance(evidence, str) else "",
        audience=str(entry.get("audience") or "").strip().casefold(),
    )


def _earlier(before: Any) -> tuple[Message, ...]:
    """The turns before a follow-up; what is no turn is left out, and then the pair must stand without it."""
    turns = [turn for turn in before if _is_pair(turn)] if isinstance(before, list) else []
    return tuple(
        message
        for turn in turns[-_MOST_TURNS:]
        for message in (Message("user", turn["question"].strip()), Message("assistant", turn["answer"].strip()))
    )
