"""OpenAI's Responses API, for what a chat can do: its request becomes a chat, and the chat's answer its response.

Nothing is stored between calls: a client sends the turns before along, as with a chat.
"""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, cast

from posology.core.errors import InvalidInput, Violation
from posology.gateway import json_body, messages
from posology.gateway.domain import AnswerKind
from posology.gateway.events import DONE, payload
from posology.gateway.requests import ChatRequest, checked, unknown

_SAME = (
    "model", "temperature", "top_p", "stream", "user", "metadata", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "service_tier", "parallel_tool_calls", "tools", "tool_choice", "background",
    "seed", "stop", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
)  # fmt: skip
"""Fields that mean the same in a chat."""
_OWN = ("input", "instructions", "max_output_tokens")


def _within(allowed: Mapping[str, tuple[Any, ...]]) -> Callable[[Any], bool]:
    """Objects whose every field has one of the values allowed; `...` allows any."""

    def asks_nothing(value: Any) -> bool:
        return isinstance(value, dict) and all(
            item is None or ... in allowed.get(name, ()) or item in allowed.get(name, ())
            for name, item in value.items()
        )

    return asks_nothing


_NOTHING: Mapping[str, Callable[[Any], bool]] = {
    "store": lambda value: isinstance(value, bool),  # nothing is kept for later calls; records follow their own rule
    "truncation": lambda value: value == "disabled",
    "include": lambda value: isinstance(value, list) and all(one == "reasoning.encrypted_content" for one in value),
    "text": _within({"format": ({"type": "text"},), "verbosity": ("medium",)}),
    "reasoning": _within({"effort": ("none",), "summary": (...,), "generate_summary": (...,)}),  # of thoughts: none
    "stream_options": _within({"include_obfuscation": (True, False)}),
    "top_logprobs": lambda value: value == 0,
}
"""What other fields may hold, because it asks for nothing; as everywhere, so does what is empty."""
_WHY: Mapping[str, str] = {
    "previous_response_id": "is refused: nothing is stored between calls; send the turns before as input",
    "conversation": "is refused: nothing is stored between calls; send the turns before as input",
    "prompt": "is refused: no prompts are stored; send it as input",
    "truncation": 'is refused: a prompt is never cut; it may only be "disabled"',
    "include": "is refused: a response holds its text only",
    "text": 'is refused: constrained decoding was not evaluated; it may hold "format": {"type": "text"}',
    "reasoning": 'is refused: the served models were evaluated without it; its effort may be "none"',
    "top_logprobs": "is refused: a response has no probabilities; /v1/chat/completions has them",
    "n": "is refused: a response is one answer; /v1/chat/completions takes n",
    "messages": "is unknown here; they are sent as input",
    "max_tokens": "is unknown here; it is called max_output_tokens",
    "max_completion_tokens": "is unknown here; it is called max_output_tokens",
    "response_format": "is unknown here; it is called text",
}


def _fault(name: str, value: Any) -> str:
    """Why a field that is no chat's can't be honoured; "" when it asks for nothing."""
    if messages.is_empty(value) or (name in _NOTHING and _NOTHING[name](value)):
        return ""
    if name in _WHY:
        return _WHY[name]
    return unknown(name, (*_SAME, *_OWN, *_NOTHING))


def parse(raw: bytes) -> ChatRequest:
    """Read a request for a response; InvalidInput names every bad field."""
    body = json_body.read(raw)
    chat = {name: body[name] for name in _SAME if name in body}
    faults = [
        Violation(name, why)
        for name, value in body.items()
        if name not in (*_SAME, *_OWN) and (why := _fault(name, value))
    ]
    instructions = body.get("instructions", "")
    if not isinstance(instructions, str):
        faults.append(Violation("instructions", "must be a text"))
    if not body.get("input"):
        faults.append(Violation("input", "is required: a text or a list of messages"))
    elif isinstance(body["input"], str) and messages.is_blank(body["input"]):
        faults.append(Violation("input", "must not be empty"))
    if faults:
        raise InvalidInput.of(faults)
    if "max_output_tokens" in body:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if body.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}  # a response always says what it used
    turns = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    system = [{"role": "system", "content": instructions}] if instructions else []
    chat["messages"] = [*system, *turns] if isinstance(turns, list) else turns
    try:
        return checked(chat, AnswerKind.CHAT, max_n=1)
    except InvalidInput as error:
        raise InvalidInput.of([_renamed(violation) for violation in error.violations]) from error


def _renamed(violation: Violation) -> Violation:
    field = violation.field.replace("messages", "input").replace("max_completion_tokens", "max_output_tokens")
    return Violation(field, violation.description)


def whole(raw: bytes, identity: str) -> dict[str, Any]:
    """A chat's answer as a response."""
    chat = json.loads(raw)
    choice = chat["choices"][0]
    return _response(
        identity,
        model=str(chat.get("model", "")),
        created=int(chat.get("created") or time.time()),
        text=choice["message"].get("content") or "",
        finish=choice.get("finish_reason") or "stop",
        usage=chat.get("usage") or {},
    )


async def events(source: AsyncIterator[bytes], identity: str, model: str) -> AsyncIterator[bytes]:
    """A chat's events as those of a response; one that is not whole ends in `error`, without `response.completed`."""
    number, texts, finish, usage = 0, list[str](), "", dict[str, Any]()
    created, item = int(time.time()), f"msg_{identity}"

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        body = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()

    begun = {**_response(identity, model=model, created=created, text="", finish="", usage={}), "output": []}
    begun |= {"status": "in_progress", "usage": None}
    place = {"item_id": item, "output_index": 0, "content_index": 0}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    empty = {**_message(item, "", "in_progress"), "content": []}
    yield event("response.output_item.added", output_index=0, item=empty)
    yield event("response.content_part.added", **place, part=_part(""))
    async with aclosing(cast(AsyncGenerator[bytes, None], source)) as chat_events:
        async for chat_event in chat_events:
            if chat_event == DONE:
                break
            chunk = payload(chat_event) or {}
            if "error" in chunk:
                error = chunk["error"]
                yield event("error", code=error.get("code"), message=error["message"], param=error.get("param"))
                return
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices") or ():
                finish = choice.get("finish_reason") or finish
                if delta := (choice.get("delta") or {}).get("content"):
                    texts.append(delta)
                    yield event("response.output_text.delta", **place, delta=delta, logprobs=[])
    text = "".join(texts)
    done = _response(identity, model=model, created=created, text=text, finish=finish or "stop", usage=usage)
    yield event("response.output_text.done", **place, text=text, logprobs=[])
    yield event("response.content_part.done", **place, part=_part(text))
    yield event("response.output_item.done", output_index=0, item=done["output"][0])
    yield event(f"response.{done['status']}", response=done)


def _response(
    identity: str, *, model: str, created: int, text: str, finish: str, usage: Mapping[str, Any]
) -> dict[str, Any]:
    cut = finish == "length"
    status = "incomplete" if cut else "completed"
    prompt, answer = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [_message(f"msg_{identity}", text, status)],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "store": False,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + answer,
        },
    }


def _message(item: str, text: str, status: str) -> dict[str, Any]:
    return {"id": item, "type": "message", "role": "assistant", "status": status, "content": [_part(text)]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
