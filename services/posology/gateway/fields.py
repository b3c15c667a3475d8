"""Which fields of the OpenAI API a client may set, and what each may hold.

Whatever is not listed is refused by name: a misspelt `temprature` would otherwise pass silently, and a
client-made chat template or forced token would give answers that nobody evaluated.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], str | None]
"""Says what is wrong with a value; None when nothing is."""


def number(low: float, high: float) -> Check:
    def check(value: Any) -> str | None:
        fine = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return None if fine else f"must be a number from {low:g} to {high:g}"

    return check


def whole(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        fine = is_whole and not isinstance(value, bool) and low <= value <= high
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
    """`include_obfuscation` pads OpenAI's events against listeners; ours are not padded either way."""
    known = {"include_usage", "include_obfuscation"}
    fine = isinstance(value, dict) and set(value) <= known and all(v is None or _is_flag(v) for v in value.values())
    return None if fine else 'may hold "include_usage": true or false, nothing else'


def prompt(value: Any) -> str | None:
    """LangChain sends a list of one."""
    words = value if isinstance(value, list) else [value]
    if len(words) > 1 and all(isinstance(w, str) for w in words):
        return "must be one text: send each prompt in a request of its own"
    return None if len(words) == 1 and text(words[0]) is None else "must be a text that is not empty, not tokens"


def labels(value: Any) -> str | None:
    fine = isinstance(value, dict) and len(value) <= 16 and all(isinstance(v, str) for v in value.values())
    return None if fine else "must be an object of at most 16 texts"


def one_of(*allowed: Any) -> Check:
    def check(value: Any) -> str | None:
        return None if value in allowed else f"may only be {' or '.join(map(json.dumps, allowed))}"

    return check


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
