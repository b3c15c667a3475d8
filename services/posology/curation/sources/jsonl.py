"""Question/answer pairs that exist already, one JSON object per line, in the shapes that people have."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from posology.curation.domain import Drop, Message, Pair, make_pair
from posology.curation.sources import Document, Parsed, Unreadable, source
from posology.curation.sources.encoding import decode

_ROLES = {"human": "user", "gpt": "assistant", "system": "system", "user": "user", "assistant": "assistant"}


@source("JSONL", ".jsonl", ".ndjson", ".json")
def read_jsonl(document: Document) -> Iterator[Parsed]:
    """All pairs of a file; a line in no known shape is a drop, a line that is no JSON makes the file unreadable."""
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for number, record in _records(decode(document.data)):
        found = pairs_of(record, source=document.name)
        if not found:
            detail = f"line {number} has no question and answer; keys: {', '.join(sorted(record))[:200]}"
            drops.append(Drop("source", "no_pair", detail, document.name))
        pairs.extend(found)
    yield Parsed(pairs=tuple(pairs), drops=tuple(drops))


def _records(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise Unreadable(f"line {number} is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise Unreadable(f"line {number} is a JSON {type(record).__name__}, not an object")
        yield number, record


def pairs_of(record: Mapping[str, Any], *, source: str) -> list[Pair]:
    """The pairs of one record: messages, conversations, prompt/completion, question/answer, instruction/instances."""
    tags = tuple(str(tag) for tag in record.get("tags", ()))
    kind = str(record.get("question_type") or record.get("qtype") or "given")
    drug = str(record.get("drug") or "").casefold()
    return [
        make_pair(turns[:-1], turns[-1].content, question_type=kind, source=source, tags=tags, drug=drug)
        for turns in _conversations(record)
        if len(turns) >= 2 and turns[-1].role == "assistant" and turns[-1].content.strip() and turns[-2].content.strip()
    ]


def _conversations(record: Mapping[str, Any]) -> Iterator[tuple[Message, ...]]:
    if isinstance(record.get("messages"), list):
        yield _turns(record["messages"], "role", "content")
    elif isinstance(record.get("conversations"), list):
        yield _turns(record["conversations"], "from", "value")
    elif isinstance(record.get("prompt"), list):
        answer = record.get("completion") or record.get("response") or []
        yield _turns(record["prompt"], "role", "content") + _answer(answer)
    elif isinstance(record.get("instances"), list):
        for instance in record["instances"]:
            asked = "\n\n".join(part for part in (record.get("instruction", ""), instance.get("input", "")) if part)
            yield (Message("user", str(asked)), Message("assistant", str(instance.get("output", ""))))
    else:
        yield from _single(record)


def _single(record: Mapping[str, Any]) -> Iterator[tuple[Message, ...]]:
    asked = record.get("prompt") or record.get("question") or record.get("instruction")
    answer = record.get("completion") or record.get("response") or record.get("answer") or record.get("output")
    if isinstance(asked, str) and asked and answer:
        given = record.get("input")
        content = f"{asked}\n\n{given}" if isinstance(given, str) and given else asked
        yield (Message("user", content), *_answer(answer))


def _answer(value: Any) -> tuple[Message, ...]:
    return _turns(value, "role", "content") if isinstance(value, list) else (Message("assistant", str(value)),)


def _turns(listed: list[Any], role: str, content: str) -> tuple[Message, ...]:
    """ShareGPT's human and gpt become user and assistant; unknown roles make the record no pair."""
    if not all(isinstance(turn, dict) and _ROLES.get(str(turn.get(role))) for turn in listed):
        return ()
    return tuple(Message(_ROLES[str(turn[role])], str(turn.get(content, ""))) for turn in listed)
