"""Which fields of the OpenAI API a client may set, and what each may hold.

Whatever is not listed is refused by name: a misspelt `temprature` would otherwise pass silently, and a
client-made chat template or forced token would give answers that nobody evaluated.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], str | None]
"""Says what is wrong with a value; None when nothing is."""

ROLES = ("system", "user", "assistant")


def number(low: float, high: float) -> Check:
    def check(value: Any) -> str | None:
        fine = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return None if fine and low <= value <= high else f"must be a number from {low:g} to {high:g}"

    return check


def whole(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        fine = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if fine else f"must be a whole number from {low} to {high}"

    return check


def flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "must be a text that is not empty"


def stop(value: Any) -> str | None:
    words = [value] if isinstance(value, str) else value
    fine = isinstance(words, list) and len(words) <= 16 and all(isinstance(w, str) and w for w in words)
    return None if fine else "must be a text or a list of at most 16 texts"


def stream_options(value: Any) -> str | None:
    fine = isinstance(value, dict) and set(value) <= {"include_usage"} and all(map(_is_flag, value.values()))
    return None if fine else 'may hold "include_usage": true or false, nothing else'


def messages(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "must be a list of at least one message"
    return next((f"[{i}] {why}" for i, m in enumerate(value) if (why := message(m)) is not None), None)


def message(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be an object with role and content"
    if value.get("role") not in ROLES:
        return f"role must be one of {', '.join(ROLES)}"
    if extra := sorted(set(value) - {"role", "content", "name"}):
        return f"has the unknown field {extra[0]}"
    return None if _is_content(value.get("content")) else "content must be a text or a list of text parts"


def _is_content(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and all(map(_is_text_part, value)))


def _is_text_part(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "text" and isinstance(value.get("text"), str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


SAMPLING: Mapping[str, Check] = {
    "model": text,
    "max_tokens": whole(1, 2**31 - 1),
    "temperature": number(0, 2),
    "top_p": number(1e-6, 1),
    "top_k": whole(-1, 10_000),
    "min_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "repetition_penalty": number(0.01, 10),
    "n": whole(1, 2**31 - 1),
    "seed": whole(-(2**63), 2**63 - 1),
    "stop": stop,
    "stream": flag,
    "stream_options": stream_options,
    "user": text,
}

CHAT: Mapping[str, Check] = {
    **SAMPLING,
    "messages": messages,
    "max_completion_tokens": whole(1, 2**31 - 1),
    "logprobs": flag,
    "top_logprobs": whole(0, 20),
}

COMPLETION: Mapping[str, Check] = {**SAMPLING, "prompt": text, "logprobs": whole(0, 5)}

REFUSED: Mapping[str, str] = {
    "chat_template": "answers come from the template that was evaluated",
    "chat_template_kwargs": "answers come from the template that was evaluated",
    "add_generation_prompt": "answers come from the template that was evaluated",
    "continue_final_message": "answers come from the template that was evaluated",
    "add_special_tokens": "answers come from the template that was evaluated",
    "logit_bias": "forced tokens give answers that nobody evaluated",
    "allowed_token_ids": "forced tokens give answers that nobody evaluated",
    "bad_words": "forbidden tokens give answers that nobody evaluated",
    "min_tokens": "forced length gives answers that nobody evaluated",
    "ignore_eos": "forced length gives answers that nobody evaluated",
    "tools": "the served models were not evaluated with tools",
    "tool_choice": "the served models were not evaluated with tools",
    "functions": "the served models were not evaluated with tools",
    "response_format": "constrained decoding was not evaluated",
    "structured_outputs": "constrained decoding was not evaluated",
    "prompt_logprobs": "the prompt's probabilities are not served",
    "best_of": "one answer is sampled for each of n",
    "echo": "the prompt is not repeated",
    "suffix": "filling in the middle is not served",
    "store": "answer records are kept by the installation's own rule",
}
