"""Question/answer pairs that exist already, in the shapes that people have.

Alpaca (instruction, input, output), Dolly (instruction, context, response), reading sets (question, context, answer),
TRL (prompt, completion as text or messages), OpenAI chat (messages, with content as parts), ShareGPT (conversations),
self-instruct (instances), and preference sets (prompt, chosen, rejected: the chosen side is the pair). What a record
holds besides goes into the prompt or is named in a drop; nothing is lost in silence.
"""

import math
import re
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
_PASSAGES_TEXT = """
    input context contexts ctx passage passages document documents docs background reference_text long_context article
    paragraph paragraphs excerpt abstract knowledge story evidence_text source_text label_text section_text
    document_text reference_context
"""
_PASSAGES = tuple(_PASSAGES_TEXT.split())
_ABOUT = frozenset({
    "id", "tags", "question_type", "qtype", "drug", "category", "source", "url", "title", "type", "lang", "language",
    "license", "dataset", "split", "name", "model", "metadata", "meta", "created", "timestamp", "score", "rating",
    "is_classification", "conversation_id", "uuid", "idx", "index", "subject", "topic", "family", "section",
    "text_len", "rejected", "task", "task_id", "seed", "focus",
    "hash", "author", "date", "version", "weight", "difficulty",
})  # fmt: skip
_ASIDES_TEXT = """
    rationale explanation exp reasoning reasoning_content complex_cot cot chain_of_thought thought thoughts thinking
    notes note comment comments description feedback critique critiques keywords labels annotator annotators reviewer
    license_url citation citations tools
"""
_ASIDES = frozenset(_ASIDES_TEXT.split())  # a pair without them is the same pair; they are named as unused
_CHOICES = frozenset({"choices", "options", "candidates", "distractors", "endings"})
_SENTENCE = re.compile(r"\w\s+\S.*[.!?]\s*$", re.DOTALL)
_NOTHING = frozenset({"nan", "none", "null", "n/a", "<noinput>", "noinput", "<no input>", "no input"})


class NoPair(Exception):
    """The record is no pair; the message says what is missing."""


@source("JSONL", ".jsonl", ".ndjson", ".json")
def read_jsonl(document: Document) -> Iterator[Parsed]:
    """All pairs of a file; a record in no known shape is a drop that names its keys, and so are unused columns."""
    pairs: list[Pair] = []
    drops: list[Drop] = []
    unused: Counter[str] = Counter()
    records = 0
    for where, record in json_records(decode(document.data)):
        records += 1
        try:
            record = plain_keys(record)
            pairs.extend(read_pairs(record, source=document.name))
        except NoPair as reason:
            keys = ", ".join(sorted(map(str, record)))[:200]
            drops.append(Drop("source", "no_pair", f"{where} {reason}; keys: {keys}", document.name))
        else:
            unused.update(unused_fields(record))
    if not records:
        drops.append(Drop("source", "no_pair", "the file has no record in it", document.name))
    for name, count in sorted(unused.items()):
        detail = f"the field {name!r} of {count} records is not used: it belongs to no known shape of a pair"
        drops.append(Drop("source", "unused_field", detail, document.name))
    yield Parsed(pairs=tuple(pairs), drops=tuple(drops))


def plain_keys(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with its known fields in lower case ("Question", "Context"), where that names no field twice."""
    lower = Counter(str(name).casefold() for name in record)
    return {
        str(name).casefold() if lower[str(name).casefold()] == 1 else str(name): value for name, value in record.items()
    }


def read_pairs(record: Mapping[str, Any], *, source: str) -> list[Pair]:
    """The pairs of one record, at least one; NoPair says why there is none.

    A field of no known name that holds text makes it none: if that is the passage that holds the answer, a pair
    without it would teach the model to make answers up.
    """
    record = plain_keys(record)
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
        if not all(turn.content.strip() for turn in turns if turn.role == "assistant"):
            raise NoPair("has an earlier answer that is empty")
        if unknown := next((name for name in unused_fields(record) if _is_prose(name, record[name])), None):
            raise NoPair(f"has text in the field {unknown[:60]!r}, which is no known part of a pair; {_MEND}")
        pairs.append(make_pair(turns[:-1], turns[-1].content, question_type=kind, source=source, tags=tags, drug=drug))
    if not pairs:
        raise NoPair("has no question and answer")
    return pairs


_MEND = "rename it to 'context' if the answer needs it, else remove it"


def unused_fields(record: Mapping[str, Any]) -> list[str]:
    """The names of fields with content that no shape of a pair uses."""
    used = _USED
    if record.get("messages"):
        used |= {"evidence"}  # as data sets made here have it: the sentence that proves the answer
    return [name for name, value in record.items() if name not in used and not _is_absent(value)]


_USED = frozenset(
    {*_ASKS, *_ANSWERS, *_PASSAGES, *_ABOUT}
    | {"messages", "conversations", "conversation", "system", "instances", "history"}
)


def _is_prose(name: str, value: Any) -> bool:
    """Whether a field of no known name may be part of the question: choices, or a sentence at any depth."""
    if name in _ASIDES:
        return False
    if isinstance(value, str):
        return len(value.split()) > 15 or bool(_SENTENCE.search(value))
    items = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(items, list) and (name in _CHOICES or any(_is_prose("", item) for item in items))


def _is_absent(value: Any) -> bool:
    """Nothing, or what tables and older sets write for nothing: NaN, "nan", "<noinput>"."""
    if isinstance(value, str):
        return not value.strip() or value.strip().casefold() in _NOTHING
    return value is None or value == [] or value == {} or (isinstance(value, float) and math.isnan(value))


def _conversations(record: Mapping[str, Any]) -> Iterator[tuple[Message, ...]]:
    turns = record.get("messages") or record.get("conversations") or record.get("conversation")
    if isinstance(turns, list):
        yield _with_passage(record, _system(record) + _turns(turns))
    elif isinstance(record.get("instances"), list):
        for instance in record["instances"]:
            fields = instance if isinstance(instance, Mapping) else {}
            ask = "\n\n".join(filter(None, (text_of(record.get("instruction")), text_of(fields.get("input")))))
            turns_of = (Message("user", ask), Message("assistant", text_of(fields.get("output"))))
            yield _with_passage(record, _system(record) + turns_of)
    else:
        yield _with_passage(record, _single(record))


def _only(record: Mapping[str, Any], names: Sequence[str], what: str) -> Any:
    """The value of the one field of these that has one; NoPair when two say different things."""
    values = {name: record[name] for name in names if not _is_absent(record.get(name))}
    if len(values) > 1 and any(value != next(iter(values.values())) for value in values.values()):
        raise NoPair(f"has {len(values)} {what}s that differ: {', '.join(values)}; keep one of these fields")
    return next(iter(values.values()), None)


def _asked(record: Mapping[str, Any]) -> Any:
    """The question: with an instruction beside it, both; `input` where nothing else asks."""
    instruction, rest = record.get("instruction"), [name for name in _ASKS if name != "instruction"]
    ask = _only(record, rest, "question")
    if _is_absent(instruction):
        return ask if ask is not None or _is_absent(record.get("input")) else record["input"]
    if ask is None or ask == instruction:
        return instruction
    return f"{text_of(instruction)}\n\n{text_of(ask)}"


def _single(record: Mapping[str, Any]) -> tuple[Message, ...]:
    """prompt and completion, each a text or messages; a chosen side may repeat the whole conversation."""
    ask = _asked(record)
    answer = _only(record, _ANSWERS, "answer")
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
    passages = [_passage(record[name]) for name in _PASSAGES if not _is_absent(record.get(name))]
    new = [passage for passage in passages if passage and not any(passage in turn.content for turn in turns[:-1])]
    last = next((n for n in reversed(range(len(turns) - 1)) if turns[n].role == "user"), None)
    if not new or last is None:
        return turns
    parts = (
        [turns[last].content, *new] if record.get("input") and len(new) == 1 else [*new, turns[last].content]
    )  # Alpaca's input comes after its instruction, a reading set's passage before its question
    return (*turns[:last], Message("user", "\n\n".join(parts)), *turns[last + 1 :])


def _passage(value: Any) -> str:
    """A passage, or several as a list (HotpotQA's and PubMedQA's contexts among them), as one text."""
    if isinstance(value, list):
        return "\n\n".join(filter(None, map(_passage, value)))
    if isinstance(value, Mapping) and "contexts" in value:
        return _passage(value["contexts"])
    return text_of(value)


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
        if turn.get("weight") == 0 and turn is listed[-1]:
            raise NoPair("has an answer of weight 0, which is not to be learned")
        content = text_of(turn.get("content", turn.get("value", turn.get("text"))))
        turns.append(Message(_ROLES[role.casefold()], content))
    return tuple(turns)


def text_of(value: Any) -> str:
    """A text, the text parts of OpenAI's content, {"text": ...}, or SQuAD's answers; "" for nothing.

    NoPair for parts that are no text (a picture is a part of the question that training would not see).
    """
    if _is_absent(value):
        return ""
    if isinstance(value, str):
        return value.strip("\ufeff")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        kind = value.get("type", "text")
        if kind in ("text", "input_text", "output_text") and "text" in value:
            return text_of(value["text"])
        if "content" in value and kind == "text":
            return text_of(value["content"])
        if "type" not in value:
            raise NoPair(f"has an object where text is expected ({', '.join(map(str, value))[:80]}), which is no text")
        raise NoPair(f"has a part of type {str(kind)[:40]!r} that is no text")
    if isinstance(value, list):
        if all(isinstance(part, str) for part in value):
            if len(value) > 1:
                raise NoPair("has several texts where one is expected")
            return "".join(value)
        return "\n".join(filter(None, (text_of(part) for part in value)))
    raise NoPair(f"has a {type(value).__name__} where text is expected")
