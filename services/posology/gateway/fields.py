"""Which fields of the OpenAI API a client may set, and what each may hold.

Whatever is not listed is refused by name: a misspelt `temprature` would otherwise pass silently, and a
client-made chat template or forced token would give answers that nobody evaluated.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]
"""A JSON Schema."""


@dataclass(frozen=True)
class Check:
    """What a field may hold: for machines as a schema, for people as what is wrong with a value."""

    schema: Schema
    fault: Callable[[Any], str | None]
    """None when nothing is wrong."""

    def __call__(self, value: Any) -> str | None:
        return self.fault(value)


def check(schema: Schema, fine: Callable[[Any], bool], wanted: str) -> Check:
    """Values that are `fine`; of any other it is said that it `wanted`."""
    return Check(schema, lambda value: None if fine(value) else wanted)


def number(low: float, high: float) -> Check:
    def fine(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    schema = {"type": "number", "minimum": low, "maximum": high}
    return check(schema, fine, f"must be a number from {low:g} to {high:g}")


def whole(low: int, high: int) -> Check:
    def fine(value: Any) -> bool:
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return is_whole and not isinstance(value, bool) and low <= value <= high

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return check(schema, fine, f"must be a whole number from {low} to {high}")


def one_of(*allowed: Any) -> Check:
    return check({"enum": list(allowed)}, lambda value: value in allowed, f"may only be {_listed(allowed)}")


def _listed(allowed: tuple[Any, ...]) -> str:
    return " or ".join(map(json.dumps, allowed))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_stop(value: Any) -> bool:
    words = [value] if isinstance(value, str) else value
    return isinstance(words, list) and len(words) <= 16 and all(map(_is_text, words))


def _is_stream_options(value: Any) -> bool:
    flags = (True, False, None)
    return (
        isinstance(value, dict)
        and set(value) <= _STREAM_OPTIONS
        and all(any(v is f for f in flags) for v in value.values())
    )


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 16 and all(isinstance(v, str) for v in value.values())


def _prompt_fault(value: Any) -> str | None:
    """LangChain sends a list of one."""
    words = value if isinstance(value, list) else [value]
    if len(words) > 1 and all(isinstance(w, str) for w in words):
        return "must be one text: send each prompt in a request of its own"
    return None if len(words) == 1 and _is_text(words[0]) else "must be a text that is not empty, not tokens"


_STREAM_OPTIONS = {"include_usage", "include_obfuscation"}
"""The latter pads OpenAI's events against listeners; ours are not padded either way."""
_TEXT: Schema = {"type": "string"}

flag = check({"type": "boolean"}, lambda value: isinstance(value, bool), "must be true or false")
text = check(_TEXT, _is_text, "must be a text that is not empty")
stop = check(
    {"anyOf": [_TEXT, {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 16}]},
    _is_stop,
    "must be a text or a list of at most 16 texts",
)
stream_options = check(
    {
        "type": "object",
        "properties": {name: {"type": ["boolean", "null"]} for name in sorted(_STREAM_OPTIONS)},
        "additionalProperties": False,
    },
    _is_stream_options,
    'may hold "include_usage": true or false, nothing else',
)
labels = check(
    {"type": "object", "additionalProperties": _TEXT, "maxProperties": 16},
    _is_labels,
    "must be an object of at most 16 texts",
)
_ONE_TEXT: Schema = {"type": "string", "minLength": 1}
prompt = Check(
    {"anyOf": [_ONE_TEXT, {"type": "array", "items": _ONE_TEXT, "minItems": 1, "maxItems": 1}]}, _prompt_fault
)

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
    "safety_identifier": text,
}

CHAT: dict[str, Check] = {
    **SAMPLING,
    "max_completion_tokens": whole(1, 2**31 - 1),
    "logprobs": flag,
    "top_logprobs": whole(0, 20),
}

COMPLETION: dict[str, Check] = {**SAMPLING, "prompt": prompt, "logprobs": whole(0, 5)}

IGNORED: dict[str, Check] = {
    "metadata": labels,
    "prompt_cache_key": text,
    "prompt_cache_retention": text,
    "parallel_tool_calls": flag,
    "service_tier": one_of("auto", "default"),
    "verbosity": one_of("medium"),
    "litellm_metadata": labels,
}
"""Fields that say how to bill, cache or label a request; the answer is the same without them."""

NOTHING: Mapping[str, Callable[[Any], bool]] = {
    "tool_choice": lambda value: value in ("none", "auto"),  # without tools both say the same
    "function_call": lambda value: value in ("none", "auto"),
    "response_format": lambda value: value == {"type": "text"},
    "logit_bias": lambda value: isinstance(value, dict) and all(not bias for bias in value.values()),
    "store": lambda value: value is False,
    "modalities": lambda value: value == ["text"],
    "reasoning_effort": lambda value: value == "none",
    "best_of": lambda value: value == 1 and not isinstance(value, bool),
    "echo": lambda value: value is False,
    "min_tokens": lambda value: value == 0,
    "ignore_eos": lambda value: value is False,
    "add_generation_prompt": lambda value: value is True,
    "continue_final_message": lambda value: value is False,
    "add_special_tokens": lambda value: value is False,
    "skip_special_tokens": lambda value: value is True,
    "spaces_between_special_tokens": lambda value: value is True,
    "include_stop_str_in_output": lambda value: value is False,
    "use_beam_search": lambda value: value is False,
    "length_penalty": lambda value: value == 1,
    "return_token_ids": lambda value: value is False,
    "priority": lambda value: value == 0,
    "background": lambda value: value is False,
}
"""What a field holds when it asks for what happens anyway; any field that is null or empty asks for nothing."""

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
    "function_call": "the served models were not evaluated with tools",
    "web_search_options": "the served models were not evaluated with tools",
    "functions": "the served models were not evaluated with tools",
    "response_format": "constrained decoding was not evaluated",
    "structured_outputs": "constrained decoding was not evaluated",
    "prompt_logprobs": "the prompt's probabilities are not served",
    "modalities": "the served models write text only",
    "audio": "the served models write text only",
    "prediction": "predicted answers are not served",
    "reasoning_effort": "the served models were evaluated without it",
    "skip_special_tokens": "answers come as they were evaluated",
    "spaces_between_special_tokens": "answers come as they were evaluated",
    "include_stop_str_in_output": "answers come as they were evaluated",
    "use_beam_search": "beams were not evaluated",
    "length_penalty": "beams were not evaluated",
    "stop_token_ids": "stops are given as texts (stop)",
    "return_token_ids": "answers are texts",
    "priority": "every key has the same",
    "background": "answers are given at once",
    "best_of": "one answer is sampled for each of n",
    "echo": "the prompt is not repeated",
    "suffix": "filling in the middle is not served",
    "store": "answer records are kept by the installation's own rule",
}
