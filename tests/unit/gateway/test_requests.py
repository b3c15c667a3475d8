"""Reading and bounding a client's body."""

import json
from typing import Any

import pytest

from posology.core.errors import InvalidInput
from posology.gateway.domain import AnswerKind, ContextTooLong
from posology.gateway.requests import clamp, fit, may_overflow, parse


def asked(kind: AnswerKind = AnswerKind.CHAT, **fields: Any):  # type: ignore[no-untyped-def]
    body = {"model": "labels", "messages": [{"role": "user", "content": "hi"}]}
    if kind is AnswerKind.COMPLETION:
        body = {"model": "labels", "prompt": "hi"}
    return parse(json.dumps({**body, **fields}).encode(), kind, max_n=4)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"temprature": 0.2}, "temprature: is unknown; did you mean temperature?"),
        ({"chat_template": "x"}, "template that was evaluated"),
        ({"logit_bias": {"1": 5}}, "nobody evaluated"),
        ({"temperature": "hot"}, "temperature: must be a number from 0 to 2"),
        ({"temperature": float("inf")}, "temperature"),
        ({"n": 50}, "n: must be at most 4"),
        ({"n": 0}, "n: must be a whole number"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": []}, "messages: must be a list of at least one message"),
        ({"messages": [{"role": "root", "content": "x"}]}, "role must be one of system, user, assistant"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "text parts"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(**fields)
    assert refused.value.violations[0].field == next(iter(fields))
    assert says in refused.value.message


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(raw, AnswerKind.CHAT, max_n=4)


def test_null_means_not_given() -> None:
    assert "temperature" not in asked(temperature=None).body


def test_equal_prompts_have_equal_spelling() -> None:
    turn = {"content": "hi", "role": "user"}
    assert asked(messages=[turn]).prompt == asked(messages=[dict(reversed(turn.items()))]).prompt


def test_a_wish_for_tokens_is_cut_to_the_limit_and_the_model() -> None:
    assert clamp(asked(max_tokens=10**6), longest=100, max_model_length=512)["max_tokens"] == 100
    assert clamp(asked(max_tokens=10**6), longest=4096, max_model_length=512)["max_tokens"] == 512
    assert clamp(asked(max_tokens=5), longest=100, max_model_length=512)["max_tokens"] == 5


def test_a_chat_without_a_wish_gets_the_limit_where_the_model_could_say_more() -> None:
    assert clamp(asked(), longest=100, max_model_length=512)["max_completion_tokens"] == 100
    assert "max_completion_tokens" not in clamp(asked(), longest=4096, max_model_length=512)


def test_prompts_are_counted_only_where_they_could_matter() -> None:
    short, long = asked(max_tokens=10), asked(max_tokens=505)
    assert not may_overflow(short.body, prompt=short.prompt, max_model_length=512)
    assert may_overflow(long.body, prompt=long.prompt, max_model_length=512)


def test_the_answer_gets_the_room_beside_the_prompt() -> None:
    assert fit({"max_tokens": 500}, prompt_tokens=100, max_model_length=512)["max_tokens"] == 412
    with pytest.raises(ContextTooLong, match="512 tokens"):
        fit({"max_tokens": 1}, prompt_tokens=512, max_model_length=512)


def test_a_completion_is_read_too() -> None:
    assert asked(AnswerKind.COMPLETION, logprobs=3).prompt == '"hi"'
    with pytest.raises(InvalidInput, match="prompt: must be a text"):
        asked(AnswerKind.COMPLETION, prompt=[1, 2])
