"""Whatever a body holds, it is a request that can be stored and sent, or a bad request that says why."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posology.core.errors import InvalidInput
from posology.gateway import responses
from posology.gateway.domain import AnswerKind
from posology.gateway.fields import CHAT, COMPLETION, IGNORED, NOTHING, REFUSED
from posology.gateway.requests import clamp, may_overflow, parse

NAMES = sorted({*CHAT, *COMPLETION, *IGNORED, *NOTHING, *REFUSED, "messages", "input", "text", "reasoning", "include"})
TEXT = st.text(st.characters(codec=None), max_size=8)  # lone surrogates too
LEAVES = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | TEXT
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
PART_KINDS = st.sampled_from(["text", "input_text", "output_text", "refusal", "image_url"]) | VALUES
PARTS = st.fixed_dictionaries({}, optional={"type": PART_KINDS, "text": TEXT, "refusal": VALUES}) | VALUES
ROLES = st.sampled_from(["user", "assistant", "system", "developer", "tool"]) | VALUES
MESSAGES = st.fixed_dictionaries(
    {"role": ROLES},
    optional={"content": TEXT | st.lists(PARTS, max_size=3) | VALUES, "name": VALUES, "refusal": VALUES},
)
BODIES = st.builds(
    lambda base, more: {**more, **base},
    st.fixed_dictionaries(
        {"model": st.just("labels") | VALUES},
        optional={"messages": st.lists(MESSAGES, max_size=3), "prompt": TEXT | VALUES, "input": st.lists(MESSAGES)},
    ),
    st.dictionaries(st.sampled_from(NAMES) | TEXT, VALUES, max_size=4),
)
KEPT: tuple[dict[str, Any], ...] = (
    {"model": "labels", "messages": [{"role": "assistant", "content": None, "refusal": ["x"]}]},
    {"model": "labels", "messages": [{"role": ["user"], "content": "x"}]},
    {"model": "labels", "messages": [{"role": "user", "content": [{"type": {}}]}]},
    {"model": "labels", "prompt": [[1, 2]], "n": 1e300},
    {"model": "labels", "input": [{"role": "user", "content": "x"}], "stream_options": []},
)
"""Bodies that once went wrong, or nearly."""


@pytest.mark.parametrize("kind", ["chat", "completion", "responses"])
@settings(max_examples=120, deadline=None)
@given(body=BODIES)
@example(body=KEPT[0])
@example(body=KEPT[1])
@example(body=KEPT[2])
@example(body=KEPT[3])
@example(body=KEPT[4])
def test_any_body_is_a_request_or_says_why_not(kind: str, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    try:
        request = responses.parse(raw) if kind == "responses" else parse(raw, AnswerKind(kind), max_n=4)
    except InvalidInput as error:
        error.message.encode()
        return
    json.dumps(clamp(request, longest=100, max_model_length=512), ensure_ascii=False, allow_nan=False).encode()
    may_overflow(request.body, prompt=request.prompt, max_model_length=512)
    assert "\x00" not in request.prompt
