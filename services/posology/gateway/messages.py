"""The messages of a chat as clients send them, and as the engine gets them: role and text, nothing else.

Clients append the message that they got and send it back with all its empty fields, so what is null or empty says
nothing. What is filled and can't be honoured is refused by its path.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from posology.core.errors import Violation

ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",  # OpenAI's newer word for the same; templates know the old one only
    "user": "user",
    "assistant": "assistant",
}
_TEXT_PARTS: Mapping[str, str] = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
SAYS_SOMETHING = r"\S"
"""What a user's turn must hold; the same for the document of the API."""
_SAYS_SOMETHING = re.compile(SAYS_SOMETHING)
_NO_TOOLS = "is refused: the served models were not evaluated with tools"
_REFUSED: Mapping[str, str] = {
    "tool_calls": _NO_TOOLS,
    "function_call": _NO_TOOLS,
    "tool_call_id": _NO_TOOLS,
    "audio": "is refused: the served models read text only",
    "prefix": "is refused: answers come from the template that was evaluated",
}
_DROPPED = frozenset(
    {
        "provider_specific_fields",  # LiteLLM's note to itself
        "annotations",  # what an earlier answer cited is no part of its text
        "reasoning",  # thoughts of an earlier turn: templates leave them out of the next prompt
        "reasoning_content",
        "thinking_blocks",
        "cache_control",  # a wish about cost, not about the answer
        "id",
        "type",
        "status",
        "phase",
    }
)


def is_empty(value: Any) -> bool:
    """Whether a field with this value asks for nothing."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def faults(messages: Any, field: str = "messages") -> list[Violation]:
    """Everything that is wrong with a chat's messages, each by its path."""
    if not isinstance(messages, list) or not messages:
        return [Violation(field, "must be a list of at least one message")]
    return [fault for i, message in enumerate(messages) for fault in _message(f"{field}[{i}]", message)]


def _message(path: str, message: Any) -> Iterator[Violation]:
    if not isinstance(message, dict):
        yield Violation(path, "must be an object with role and content")
        return
    role = message.get("role")
    if role in ("tool", "function"):
        yield Violation(f"{path}.role", _NO_TOOLS)
    elif not isinstance(role, str) or role not in ROLES:
        yield Violation(f"{path}.role", f"must be one of {', '.join(ROLES)}")
    for name, value in message.items():
        if name in ("role", "content", "refusal") or name in _DROPPED or is_empty(value):
            continue
        if name == "name":
            if not isinstance(value, str):
                yield Violation(f"{path}.name", "must be a text")
        else:
            yield Violation(f"{path}.{name}", _REFUSED.get(name, "is unknown; a message has role and content"))
    wrong = list(_content(f"{path}.content", message.get("content"), optional=role == "assistant"))
    if not wrong and role == "user" and is_blank(message["content"]):
        wrong = [Violation(f"{path}.content", "must not be empty")]  # an engine would answer the template alone
    yield from wrong


def is_blank(content: Any) -> bool:
    """Whether a content without faults says nothing at all."""
    return not _SAYS_SOMETHING.search(joined(content))


def _content(path: str, content: Any, *, optional: bool) -> Iterator[Violation]:
    if isinstance(content, str) or (optional and is_empty(content)):
        return
    if not isinstance(content, list) or not content:
        yield Violation(path, "must be a text or a list of text parts")
        return
    for i, part in enumerate(content):
        yield from _part(f"{path}[{i}]", part)


def _part(path: str, part: Any) -> Iterator[Violation]:
    if isinstance(part, str):  # LangChain mixes bare texts with parts
        return
    if not isinstance(part, dict):
        yield Violation(path, 'must be a text part: {"type": "text", "text": ...}')
        return
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _TEXT_PARTS:
        shown = f"parts of type {kind!r}"[:80]
        yield Violation(f"{path}.type", f"{shown} are not read; the served models read text only")
    elif not isinstance(part.get(_TEXT_PARTS[kind]), str):
        yield Violation(f"{path}.{_TEXT_PARTS[kind]}", "must be a text")


def plain(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages without faults, as the engine gets them."""
    return [_plain(message) for message in messages]


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    content = joined(message.get("content"))
    if not content and isinstance(message.get("refusal"), str):
        content = message["refusal"]  # an assistant of another house that said no
    named = {"name": message["name"]} if not is_empty(message.get("name")) else {}
    return {"role": ROLES[message["role"]], "content": content, **named}


def joined(content: Any) -> str:
    """The text of a content; parts are joined by a line break, as vLLM does."""
    if isinstance(content, list):
        return "\n".join(part if isinstance(part, str) else part[_TEXT_PARTS[part["type"]]] for part in content)
    return content or ""
