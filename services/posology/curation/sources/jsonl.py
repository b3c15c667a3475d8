"""Question/answer pairs that exist already, in the shapes that people have.

Alpaca (instruction, input, output), Dolly (instruction, context, response), reading sets (question, context, answer),
TRL (prompt, completion as text or messages), OpenAI chat (messages, with content as parts), ShareGPT (conversations),
self-instruct (instances), and preference sets (prompt, chosen, rejected: the chosen side is the pair). What a record
holds besides goes into the prompt or is named in a drop; nothing is lost in silence.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posology.curation.domain import Drop, Message, Pair, make_pair
from posology.curation.sources import Document, Parsed, source
from posology.curation.sources.encoding import decode
from posology.curation.sources.records import json_records

_ROLES = {
    "human": "user", "user": "user", "prompter": "user", "gpt": "assistant", "assistant": "assistant",
    "model": "assistant", "bot": "assistant", "chatgpt": "assistant", "system": "system", "developer": "system",
}  # fmt: skip
_ASKS = ("prompt", "question", "instruction", "query")
_ANSWERS = ("completion", "response", "answer", "output", "chosen", "answers")
_PASSAGES = ("input", "context", "passage", "document", "background", "reference_text", "long_context")
_ABOUT = frozenset({
    "id", "tags", "question_type", "qtype", "drug", "category", "source", "url", "title", "type", "lang", "language",
    "license", "dataset", "split", "name", "model", "metadata", "meta", "created", "timestamp", "score", "rating",
    "is_classification", "conversation_id", "uuid", "idx", "index", "subject", "topic", "family", "section", "evidence",
    "text_len", "rejected", "task", "task_id", "seed", "hash", "author", "date", "version", "weight", "difficulty",
})  # fmt: skip


class NoPair(Exception):
    """The record is no pair; the message says what is missing."""


@source("JSONL", ".jsonl", ".ndjson", ".json")
def read_jsonl(document: Document) -> Iterator[Parsed]:
    """All pairs of a file; a record in no known shape is a drop that names its keys, and so are unused columns."""
    pairs: list[Pair] = []
    drops: list[Drop] = []
    unused: Counter[str] = Counter()
    for where, record in json_records(decode(document.data)):
        try:
            pairs.extend(read_pairs(record, source=document.name))
        except NoPair as reason:
            keys = ", ".join(sorted(map(str, record)))[:200]
            drops.append(Drop("source", "no_pair", f"{where} {reason}; keys: {keys}", document.name))
        else:
            unused.update(unused_fields(record))
    for name, count in sorted(unused.items()):
        detail = f"the field {name!r} of {count} records is not used: it belongs to no known shape of a pair"
        drops.append(Drop("source", "unused_field", detail, document.name))
    yield Parsed(pairs=tuple(pairs), drops=tuple(drops))


def pairs_of(record: Mapping[str, Any], *, source: str) -> list[Pair]:
    """The pairs of one record; [] when it is none."""
    try:
        return read_pairs(record, source=source)
    except NoPair:
        return []


def read_pairs(record: Mapping[str, Any], *, source: str) -> list[Pair]:
    """The pairs of one record, at least one; NoPair says why there is none."""
    listed = record.get("tags")
    tags = tuple(str(tag) for tag in listed) if isinstance(listed, list) else ()
    kind = str(record.get("question_type") or record.get("qtype") or "given")
    drug = str(record.get("drug") or "").casefold()
    pairs = []
    for turns in _conversations(record):
        if len(turns) < 2 or turns[-1].role != "assistant" or turns[-2].role != "user":
            raise NoPair("has no question and answer")
        if not turns[-1].content.strip() or not turns[-2].content.strip():
            raise NoPair("has no question and answer: one of them is empty")
        pairs.append(make_pair(turns[:-1], turns[-1].content, question_type=kind, source=source, tags=tags, drug=drug))
    if not pairs:
        raise NoPair("has no question and answer")
    return pairs


def unused_fields(record: Mapping[str, Any]) -> list[str]:
    """The names of fields with content that no shape of a pair uses."""
    used = {*_ASKS, *_ANSWERS, *_PASSAGES, "messages", "conversations", "system", "instances", "history", *_ABOUT}
    return [str(name) for name, value in record.items() if name not in used and value not in (None, "", [], {})]


def _conversations(record: Mapping[str, Any]) -> Iterator[tuple[Message, ...]]:
    turns = record.get("messages") or record.get("conversations") or record.get("conversation")
    if isinstance(turns, list):
        yield _with_passage(record, _system(record) + _turns(turns))
    elif isinstance(record.get("instances"), list):
        for instance in record["instances"]:
            fields = instance if isinstance(instance, Mapping) else {}
            ask = "\n\n".join(filter(None, (text_of(record.get("instruction")), text_of(fields.get("input")))))
            yield (Message("user", ask), Message("assistant", text_of(fields.get("output"))))
    else:
        yield _with_passage(record, _single(record))


def _single(record: Mapping[str, Any]) -> tuple[Message, ...]:
    """prompt and completion, each a text or messages; a chosen side may repeat the whole conversation."""
    ask = next((record[name] for name in _ASKS if record.get(name)), None)
    answer = next((record[name] for name in _ANSWERS if record.get(name)), None)
    if isinstance(answer, list) and _are_turns(answer):
        answered = _turns(answer)
        if ask is None or len(answered) > 1:
            return _system(record) + answered
    else:
        answered = (Message("assistant", text_of(answer)),)
    if ask is None or answer is None:
        raise NoPair("has no question and answer")
    asked_turns = _turns(ask) if isinstance(ask, list) and _are_turns(ask) else (Message("user", text_of(ask)),)
    return _system(record) + _history(record) + asked_turns + answered


def _with_passage(record: Mapping[str, Any], turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """The passage that a question is about stands in its prompt: without it, the model learns to make answers up."""
    passages = [text_of(record[name]) for name in _PASSAGES if record.get(name)]
    new = [passage for passage in passages if passage and not any(passage in turn.content for turn in turns[:-1])]
    last = next((n for n in reversed(range(len(turns) - 1)) if turns[n].role == "user"), None)
    if not new or last is None:
        return turns
    parts = (
        [turns[last].content, *new] if record.get("input") and len(new) == 1 else [*new, turns[last].content]
    )  # Alpaca's input comes after its instruction, a reading set's passage before its question
    return (*turns[:last], Message("user", "\n\n".join(parts)), *turns[last + 1 :])


def _system(record: Mapping[str, Any]) -> tuple[Message, ...]:
    system = text_of(record.get("system"))
    return (Message("system", system),) if system else ()


def _history(record: Mapping[str, Any]) -> tuple[Message, ...]:
    """Alpaca's history: earlier pairs of [question, answer]."""
    listed = record.get("history")
    if not isinstance(listed, list):
        return ()
    turns: list[Message] = []
    for earlier in listed:
        if not isinstance(earlier, list) or len(earlier) != 2:
            raise NoPair("has a history that is no list of [question, answer]")
        turns += [Message("user", text_of(earlier[0])), Message("assistant", text_of(earlier[1]))]
    return tuple(turns)


def _are_turns(listed: Sequence[Any]) -> bool:
    return bool(listed) and all(isinstance(turn, Mapping) and ("role" in turn or "from" in turn) for turn in listed)


def _turns(listed: Sequence[Any]) -> tuple[Message, ...]:
    """Turns in OpenAI's or ShareGPT's words; tools and unknown roles make the record no pair."""
    turns = []
    for turn in listed:
        if not isinstance(turn, Mapping):
            raise NoPair("has a turn that is no object")
        role = str(turn.get("role") or turn.get("from") or "")
        if role.casefold() not in _ROLES:
            raise NoPair(f"has no question and answer: a turn is by {role or 'nobody'!r}, which training cannot use")
        if turn.get("tool_calls") or turn.get("function_call"):
            raise NoPair("has no question and answer: a turn calls a tool")
        content = text_of(turn.get("content", turn.get("value", turn.get("text"))))
        turns.append(Message(_ROLES[role.casefold()], content))
    return tuple(turns)


def text_of(value: Any) -> str:
    """A text, the text parts of OpenAI's content, {"text": ...}, or SQuAD's answers; "" for nothing.

    NoPair for parts that are no text (a picture is a part of the question that training would not see).
    """
    if value is None or isinstance(value, str):
        return (value or "").strip("\ufeff")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        kind = value.get("type", "text")
        if kind in ("text", "input_text", "output_text") and "text" in value:
            return text_of(value["text"])
        if "content" in value and kind == "text":
            return text_of(value["content"])
        raise NoPair(f"has a part of type {str(kind)[:40]!r} that is no text")
    if isinstance(value, list):
        if all(isinstance(part, str) for part in value):
            if len(value) > 1:
                raise NoPair("has several texts where one is expected")
            return "".join(value)
        return "\n".join(filter(None, (text_of(part) for part in value)))
    raise NoPair(f"has a {type(value).__name__} where text is expected")
