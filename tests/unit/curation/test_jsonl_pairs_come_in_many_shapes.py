"""Existing pairs: every shape that people have."""

import json
from typing import Any

import pytest

from posology.curation.sources import FORMATS, Document, Unreadable

Q, A = "What is the dose?", "10 mg once daily."


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": Q, "completion": A},
        {"prompt": [{"role": "user", "content": Q}], "completion": [{"role": "assistant", "content": A}]},
        {"question": Q, "answer": A},
        {"instruction": Q, "output": A},
        {"messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]},
        {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
        {"instruction": Q, "instances": [{"input": "", "output": A}]},
    ],
)
def test_every_shape_gives_the_same_pair(record: dict[str, Any]) -> None:
    (parsed,) = FORMATS["JSONL"].read(Document("f.jsonl", json.dumps(record).encode()))
    assert [(pair.question, pair.answer) for pair in parsed.pairs] == [(Q, A)]


def test_a_line_in_no_known_shape_is_a_drop_that_names_its_keys() -> None:
    (parsed,) = FORMATS["JSONL"].read(
        Document("f.jsonl", b'{"text": "a"}\n{"conversations": [{"from": "tool", "value": "x"}]}')
    )
    assert [drop.detail for drop in parsed.drops] == [
        "line 1 has no question and answer; keys: text",
        "line 2 has no question and answer; keys: conversations",
    ]


@pytest.mark.parametrize("text", ["{", "[1]", "text"])
def test_a_line_that_is_no_json_object_makes_the_file_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match="line 1"):
        list(FORMATS["JSONL"].read(Document("f.jsonl", text.encode())))
