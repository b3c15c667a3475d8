"""Reading and bounding a client's body."""

import json
from typing import Any

import pytest

from posology.core.errors import InvalidInput
from posology.gateway import responses
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
        ({"n": 50}, "n: must be at most 4"),
        ({"n": 0}, "n: must be a whole number"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": []}, "messages: must be a list of at least one message"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role: must be one of system, developer, user"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "content[0].type: parts of type 'image"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role: is refused: the served models were not"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content: must be a text or a list"),
        ({"messages": [{"role": "user", "content": "x", "foo": 1}]}, "messages[0].foo: is unknown"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[0].tool_calls: is refused"),
        ({"messages": ["hi"]}, "messages[0]: must be an object"),
        ({"tools": [{"type": "function"}]}, "tools: is refused: the served models were not evaluated with tools"),
        ({"tool_choice": "required"}, "tool_choice: is refused"),
        ({"response_format": {"type": "json_object"}}, "response_format: is refused: constrained decoding"),
        ({"service_tier": "priority"}, 'service_tier: may only be "auto" or "default"'),
        ({"store": True}, "store: is refused: answer records"),
        ({"top_logprobs": 2}, "top_logprobs: needs logprobs: true"),
        ({"seed": 10**30}, "seed: must be a whole number"),
        ({"max_tokens": 8.5}, "max_tokens: must be a whole number"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(**fields)
    assert refused.value.violations[0].field.startswith(next(iter(fields)))
    assert says in refused.value.message


def chat_of(turn: str, rest: str = "") -> bytes:
    return f'{{"model": "labels", "messages": [{{"role": "user", "content": {turn}}}]{rest}}}'.encode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (chat_of(r'"May I \ud83d"'), "messages[0].content: holds half a character"),
        (chat_of(r'"May I \udc97 x"'), "messages[0].content: holds half a character"),
        (chat_of(r'"May I\u0000"'), "messages[0].content: holds the character NUL"),
        (chat_of(r'[{"type": "text", "text": "\ud83d"}]'), "messages[0].content[0].text: holds half"),
        (chat_of('"x"', r', "user": "ann\udc97"'), "user: holds half a character"),
        (chat_of('"x"', r', "stop": ["\ud800"]'), "stop[0]: holds half a character"),
        (chat_of('"x"', r', "metadata": {"a": "\u0000"}'), "metadata.a: holds the character NUL"),
        (chat_of('"x"', r', "a\ud83d": 1'), "whose name is no Unicode text"),
        (chat_of('"x"', f', "seed": {"9" * 401}'), "a number of 401 digits"),
        (chat_of('"x"', f', "seed": -{"9" * 5000}'), "a number of 5001 digits"),
        (chat_of('"x"', ', "temperature": 1e999'), "the number 1e999, which is too large"),
        (chat_of('"x"', ', "temperature": Infinity'), "Infinity, which is no JSON"),
        (chat_of('"x"', ', "top_p": NaN'), "NaN, which is no JSON"),
        (chat_of('"x"', ', "messages": []'), "names 'messages' twice"),
        (chat_of('[{"type": "text", "text": "a", "text": "b"}]'), "names 'text' twice"),
        (chat_of('"x"').replace(b"labels", b"lab\xffels"), "not UTF-8 at byte"),
        (chat_of('"x"').decode().encode("utf-16"), "not UTF-8 at byte 0"),
    ],
)
def test_what_is_no_text_or_no_number_is_refused_by_name(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(raw, AnswerKind.CHAT, max_n=4)
    assert says in refused.value.message
    refused.value.message.encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": []}, {"tools": [], "tool_choice": "auto"}, {"tool_choice": "none"}, {"functions": []},
        {"function_call": "none"}, {"response_format": {"type": "text"}}, {"logit_bias": {}}, {"logit_bias": {"5": 0}},
        {"store": False}, {"service_tier": "auto"}, {"service_tier": "default"}, {"parallel_tool_calls": True},
        {"parallel_tool_calls": False}, {"metadata": {}}, {"metadata": {"trace": "7"}}, {"user": ""}, {"stop": []},
        {"modalities": ["text"]}, {"reasoning_effort": None}, {"prompt_cache_key": "a"}, {"verbosity": "medium"},
        {"audio": None}, {"prediction": {}}, {"min_tokens": 0}, {"ignore_eos": False}, {"chat_template_kwargs": {}},
        {"add_generation_prompt": True}, {"web_search_options": {}}, {"structured_outputs": {}}, {"suffix": ""},
        {"best_of": 1}, {"echo": False}, {"extra_body": {}}, {"whatever": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_asks_for_nothing_is_taken_as_absent(fields: dict[str, Any]) -> None:
    assert asked(**fields).body == asked().body


@pytest.mark.parametrize(
    "turn",
    [
        {"content": "Yes.", "refusal": None, "annotations": None, "audio": None, "function_call": None},
        {"content": "Yes.", "refusal": None, "annotations": [], "tool_calls": [], "reasoning": None},
        {"content": "Yes.", "provider_specific_fields": {"refusal": None}, "tool_calls": None},
        {"content": "Yes.", "reasoning_content": "the label says so", "thinking_blocks": [{"x": 1}], "name": None},
        {"content": [{"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}], "id": "msg_1"},
        {"content": [{"type": "text", "text": "Yes.", "cache_control": {"type": "ephemeral"}}]},
        {"content": ["Yes."], "foo": [], "bar": {}, "baz": ""},
        {"content": None, "refusal": "Yes."},
        {"content": [{"type": "refusal", "refusal": "Yes."}]},
    ],
    ids=str,
)
def test_an_answer_comes_back_as_it_went_out(turn: dict[str, Any]) -> None:
    before, after = {"role": "user", "content": "May I?"}, {"role": "user", "content": "And juice?"}
    request = asked(messages=[before, {"role": "assistant", **turn}, after])
    assert request.body["messages"] == [before, {"role": "assistant", "content": "Yes."}, after]


def test_an_empty_answer_comes_back_too() -> None:
    contents: tuple[Any, ...] = (None, "", [])
    for content in contents:
        turns = asked(messages=[{"role": "assistant", "content": content}]).body["messages"]
        assert turns == [{"role": "assistant", "content": ""}]


@pytest.mark.parametrize(
    "content",
    [
        "", " ", "\n\t", "\u00a0", [{"type": "text", "text": ""}], ["", " "], [{"type": "input_text", "text": "  "}],
        [{"type": "text", "text": ""}, {"type": "text", "text": "\n"}],
    ],
    ids=repr,
)  # fmt: skip
def test_a_users_turn_that_says_nothing_is_refused_wherever_it_stands(content: Any) -> None:
    empty, fine = {"role": "user", "content": content}, {"role": "user", "content": "May I?"}
    for place, turns in enumerate(([empty], [fine, empty], [fine, {"role": "assistant", "content": None}, empty])):
        with pytest.raises(InvalidInput) as refused:
            asked(messages=turns)
        assert [str(one) for one in refused.value.violations] == [f"messages[{place}].content: must not be empty"]


def test_a_system_turn_may_be_empty_and_a_part_beside_words_too() -> None:
    parts = [{"type": "text", "text": ""}, {"type": "text", "text": "May I?"}]
    turns = asked(messages=[{"role": "system", "content": ""}, {"role": "user", "content": parts}]).body["messages"]
    assert [turn["content"] for turn in turns] == ["", "\nMay I?"]


@pytest.mark.parametrize("words", ["", "  ", [{"role": "user", "content": ""}]], ids=repr)
def test_a_response_to_nothing_is_refused_by_the_field_that_was_sent(words: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        responses.parse(json.dumps({"model": "labels", "input": words}).encode())
    assert [one.field for one in refused.value.violations] == [
        "input" if isinstance(words, str) else "input[0].content"
    ]


def test_a_developer_is_the_system_and_parts_are_one_text() -> None:
    parts = [{"type": "text", "text": "Short."}, {"type": "input_text", "text": "Plain."}]
    body = asked(messages=[{"role": "developer", "content": parts}, {"role": "user", "content": "x"}]).body
    assert body["messages"][0] == {"role": "system", "content": "Short.\nPlain."}


def test_a_whole_number_may_have_a_point() -> None:
    assert repr(asked(max_tokens=8.0, n=2.0).body["max_tokens"]) == "8"


def test_a_completion_may_be_a_list_of_one_prompt() -> None:
    assert asked(AnswerKind.COMPLETION, prompt=["hi"]).body["prompt"] == "hi"
    with pytest.raises(InvalidInput, match="prompt: must be one text: send each prompt"):
        asked(AnswerKind.COMPLETION, prompt=["hi", "ho"])


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000])
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


@pytest.mark.parametrize(
    "fields",
    [
        {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
        {"text": {"format": None}},
        {"reasoning": {"effort": None, "summary": None}},
        {"reasoning": {"summary": "auto"}},
        {"include": []},
        {"include": ["reasoning.encrypted_content"]},
        {"store": True},
        {"truncation": "disabled"},
        {"stream_options": {"include_obfuscation": False}},
        {"top_logprobs": 0},
        {"conversation": None},
        {"prompt": {}},
        {"max_tool_calls": None},
    ],
)
def test_a_response_takes_what_asks_for_nothing_as_absent(fields: dict[str, Any]) -> None:
    body = {"model": "labels", "input": "May I?"}
    assert responses.parse(json.dumps(body | fields).encode()) == responses.parse(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("previous_response_id", "resp_1", "nothing is stored between calls"),
        ("text", {"format": {"type": "json_object"}}, "constrained decoding was not evaluated"),
        ("text", {"format": {"type": "text"}, "verbosity": "low"}, "constrained decoding"),
        ("reasoning", {"effort": "high"}, "evaluated without it"),
        ("include", ["message.output_text.logprobs"], "its text only"),
        ("truncation", "auto", "never cut"),
        ("max_tokens", 4, "max_output_tokens"),
        ("messages", [{}], "sent as input"),
        ("instruction", "x", "did you mean instructions?"),
    ],
)
def test_a_response_refuses_the_rest_with_the_reason_of_its_own(field: str, value: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        responses.parse(json.dumps({"model": "labels", "input": "May I?", field: value}).encode())
    (violation,) = refused.value.violations
    assert (violation.field, says in violation.description) == (field, True), violation
