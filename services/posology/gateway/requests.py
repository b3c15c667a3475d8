"""From a client's body to one that an engine may get: every field known, every size bounded."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from posology.core.errors import InvalidInput, Violation
from posology.gateway import json_body, messages
from posology.gateway.domain import AnswerKind, ContextTooLong
from posology.gateway.fields import CHAT, COMPLETION, IGNORED, NOTHING, REFUSED, Check

FIELDS: Mapping[AnswerKind, dict[str, Check]] = {AnswerKind.CHAT: CHAT, AnswerKind.COMPLETION: COMPLETION}
CONTENT: Mapping[AnswerKind, str] = {AnswerKind.CHAT: "messages", AnswerKind.COMPLETION: "prompt"}
MAX_TOKENS = ("max_completion_tokens", "max_tokens")
WHOLE = frozenset({*MAX_TOKENS, "n", "seed", "top_k", "top_logprobs"})
"""JSON knows one kind of number, so 8.0 is a whole one; engines want it written as 8."""
_TEMPLATE_TOKENS = 16
"""Tokens that a chat template may add around one message; an estimate on the safe side."""


@dataclass(frozen=True)
class ChatRequest:
    """A request that passed every check; `body` is what the engine gets, save for the model's name."""

    kind: AnswerKind
    model: str
    body: Mapping[str, Any]
    prompt: str
    stream: bool
    wants_usage: bool

    @property
    def user(self) -> str:
        return str(self.body.get("user", ""))


def parse(raw: bytes, kind: AnswerKind, *, max_n: int) -> ChatRequest:
    """Check a body and read it; InvalidInput names every bad field at once."""
    return checked(json_body.read(raw), kind, max_n=max_n)


def checked(body: Mapping[str, Any], kind: AnswerKind, *, max_n: int) -> ChatRequest:
    """The request that `body` asks for; InvalidInput names every bad field at once."""
    body = {name: value for name, value in body.items() if not _asks_nothing(name, value)}
    if faults := violations(body, kind, max_n=max_n):
        raise InvalidInput.of(faults)
    body = _for_engine(body)
    return ChatRequest(
        kind=kind,
        model=body["model"],
        body=body,
        prompt=canonical(body[CONTENT[kind]]),
        stream=body.get("stream", False),
        wants_usage=bool(body.get("stream_options", {}).get("include_usage", False)),
    )


def _asks_nothing(name: str, value: Any) -> bool:
    if name in ("model", *CONTENT.values()):
        return value is None
    return messages.is_empty(value) or (name in NOTHING and NOTHING[name](value))


def violations(body: Mapping[str, Any], kind: AnswerKind, *, max_n: int) -> list[Violation]:
    """Everything that is wrong with `body`, in the order of its fields."""
    known = FIELDS[kind] | IGNORED
    faults = [Violation(name, "is required") for name in ("model", CONTENT[kind]) if name not in body]
    for name, value in body.items():
        if kind is AnswerKind.CHAT and name == "messages":
            faults.extend(messages.faults(value))
            continue
        why = known[name](value) if name in known else _unknown(name, known)
        if why is not None:
            faults.append(Violation(name, why))
    if not faults and body.get("n", 1) > max_n:
        faults.append(Violation("n", f"must be at most {max_n}"))
    if not faults and body.get("top_logprobs") and not body.get("logprobs"):
        faults.append(Violation("top_logprobs", "needs logprobs: true"))
    return faults


def _for_engine(body: Mapping[str, Any]) -> dict[str, Any]:
    """One spelling of each wish: plain messages, whole numbers as such, nothing that is ignored."""
    kept = {name: value for name, value in body.items() if name not in IGNORED}
    if identifier := kept.pop("safety_identifier", ""):
        kept.setdefault("user", identifier)  # OpenAI's newer word for the same
    if "messages" in kept:
        kept["messages"] = messages.plain(kept["messages"])
    if isinstance(kept.get("prompt"), list):
        [kept["prompt"]] = kept["prompt"]
    return {name: int(value) if name in WHOLE else value for name, value in kept.items()}


def _unknown(name: str, known: Mapping[str, Check]) -> str:
    if name in REFUSED:
        return f"is refused: {REFUSED[name]}"
    return unknown(name, known)


def unknown(name: str, known: Iterable[str]) -> str:
    """That there is no such field, and which one may be meant."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"is unknown; did you mean {near[0]}?" if near else "is unknown"


def canonical(value: Any) -> str:
    """JSON with one spelling, so that equal prompts have equal hashes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def clamp(ask: ChatRequest, *, longest: int, max_model_length: int) -> dict[str, Any]:
    """The engine's body: at most `longest` new tokens, and usage asked for, so that records have counts."""
    body = dict(ask.body)
    limits = [name for name in MAX_TOKENS if name in body]
    for name in limits:
        body[name] = min(body[name], longest, max_model_length)
    if not limits and ask.kind is AnswerKind.CHAT and longest < max_model_length:
        body["max_completion_tokens"] = longest  # a chat without a limit would run to the model's length
    if ask.stream:
        body["stream_options"] = {"include_usage": True}
    return body


def may_overflow(body: Mapping[str, Any], *, prompt: str, max_model_length: int) -> bool:
    """Whether prompt and asked-for answer together could pass the model's length.

    A token holds at least one byte, so a prompt has at most as many tokens as bytes, plus the template's.
    """
    answer_tokens = max((body[name] for name in MAX_TOKENS if name in body), default=0)
    most = len(prompt.encode()) + _TEMPLATE_TOKENS * (len(body.get("messages", ())) + 1)
    return bool(answer_tokens) and bool(answer_tokens + most > max_model_length)


def fit(body: Mapping[str, Any], *, prompt_tokens: int, max_model_length: int) -> dict[str, Any]:
    """The body whose answer has room beside a prompt of `prompt_tokens`; InvalidInput when there is none."""
    room = max_model_length - prompt_tokens
    if room < 1:
        raise ContextTooLong(
            f"the prompt has {prompt_tokens} tokens, and the model reads at most {max_model_length} "
            "in prompt and answer together; shorten the prompt"
        )
    return {name: min(value, room) if name in MAX_TOKENS else value for name, value in body.items()}
