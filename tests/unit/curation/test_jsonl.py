"""Existing pairs: every shape that people have, and no field lost in silence."""

import json
from typing import Any

import pytest

from posology.curation.sources import FORMATS, Document, Parsed, Unreadable

Q, A = "What is the dose?", "10 mg once daily."
TURNS = [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]


def read(text: str | bytes) -> Parsed:
    (parsed,) = FORMATS["JSONL"].read(Document("f.jsonl", text.encode() if isinstance(text, str) else text))
    return parsed


def pairs(record: Any) -> list[tuple[str, str]]:
    return [(pair.question, pair.answer) for pair in read(json.dumps(record)).pairs]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": Q, "completion": A},
        {"prompt": [{"role": "user", "content": Q}], "completion": [{"role": "assistant", "content": A}]},
        {"question": Q, "answer": A},
        {"question": Q, "answers": {"text": [A], "answer_start": [0]}},
        {"instruction": Q, "output": A},
        {"instruction": Q, "input": "", "output": A},
        {"instruction": Q, "input": None, "output": A},
        {"messages": TURNS},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": Q}]}, TURNS[1]]},
        {"messages": [{"role": "developer", "content": "Be brief."}, *TURNS]},
        {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
        {
            "conversations": [
                {"from": "system", "value": "x"},
                {"from": "human", "value": Q},
                {"from": "gpt", "value": A},
            ]
        },
        {"instruction": Q, "instances": [{"input": "", "output": A}]},
        {"prompt": Q, "completion": {"text": A}},
        {"prompt": Q, "chosen": A, "rejected": "100 mg."},
        {"prompt": TURNS[:1], "chosen": TURNS[1:], "rejected": [{"role": "assistant", "content": "100 mg."}]},
        {"chosen": TURNS, "rejected": [TURNS[0], {"role": "assistant", "content": "100 mg."}]},
        {"query": Q, "response": A},
        {"instruction": Q, "output": A, "history": [["Hello?", "Hello."]]},
        {"data": [{"question": Q, "answer": A}]},
    ],
)
def test_every_shape_gives_the_same_pair(record: dict[str, Any]) -> None:
    assert pairs(record) == [(Q, A)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_one_array_is_read_as_lines_are(indent: int | None, end: str) -> None:
    text = json.dumps([{"instruction": Q, "input": "", "output": A}] * 2, indent=indent)
    assert len(read(text.replace("\n", end or "\n") + end).pairs) == 2


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x1c", "\x0c"])
def test_only_line_feeds_end_a_record(character: str) -> None:
    line = json.dumps({"question": Q, "answer": f"one{character}two"}, ensure_ascii=False)
    parsed = read(f"{line}\r\n{line}\n")
    assert len(parsed.pairs) + sum(drop.reason == "hidden_characters" for drop in parsed.drops) == 2
    assert all(pair.answer == "one\ntwo" for pair in parsed.pairs)


@pytest.mark.parametrize(
    "column",
    ["context", "passage", "input", "document", "background", "ctx", "contexts", "article", "Context", "excerpt"],
)
@pytest.mark.parametrize(("ask", "answer"), [("instruction", "response"), ("question", "answer"), ("prompt", "output")])
def test_the_passage_of_a_question_is_in_its_prompt(column: str, ask: str, answer: str) -> None:
    ((question, _),) = pairs({ask: Q, column: "Each tablet holds 10 mg.", answer: A})
    assert "Each tablet holds 10 mg." in question
    assert Q in question


def test_a_passage_beside_messages_is_in_the_prompt_too_and_once() -> None:
    ((question, _),) = pairs({"messages": TURNS, "context": "Each tablet holds 10 mg."})
    assert question.count("Each tablet holds 10 mg.") == 1
    ((again, _),) = pairs(
        {"question": f"Each tablet holds 10 mg. {Q}", "context": "Each tablet holds 10 mg.", "answer": A}
    )
    assert again.count("Each tablet") == 1


def test_a_field_that_is_not_used_is_named_with_its_count() -> None:
    parsed = read(
        "\n".join(json.dumps({"question": Q, "answer": A, "rationale": f"r{n}", "empty": ""}) for n in range(3))
    )
    assert len(parsed.pairs) == 3
    assert [drop.detail for drop in parsed.drops if drop.reason == "unused_field"] == [
        "the field 'rationale' of 3 records is not used: it belongs to no known shape of a pair"
    ]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"messages": [TURNS[0], {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}]}, "calls a tool"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": None}]}, "empty"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": []}]}, "empty"),
        ({"messages": [TURNS[0], {"role": "tool", "content": "x"}, TURNS[1]]}, "'tool'"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, TURNS[1]]},
            "image_url",
        ),
        ({"messages": [TURNS[1], TURNS[0]]}, "no question and answer"),
        ({"messages": ["x"]}, "no object"),
        ({"question": Q, "answer": ["a", "b"]}, "several texts"),
        ({"question": Q, "answer": {"value": 3}}, "no text"),
        ({"question": Q, "answer": None}, "no question and answer"),
        ({"question": "", "answer": A}, "no question and answer"),
        ({"text": "a"}, "keys: text"),
        ({"tags": 3, "question": Q}, "no question"),
        ({"question": Q, "answer": A, "grounding": "Each tablet holds 10 mg."}, "'grounding'"),
        ({"question": Q, "answer": A, "evidence": ["Each tablet holds 10 mg."]}, "'evidence'"),
        ({"question": Q, "answer": "B", "options": {"A": "5", "B": "10"}}, "'options'"),
        ({"question": Q, "answer": "B", "choices": ["5", "10"]}, "'choices'"),
        ({"prompt": "Be brief.", "question": Q, "answer": A}, "2 questions that differ: prompt, question"),
        ({"question": Q, "answer": A, "response": "20 mg."}, "2 answers that differ"),
        ({"question": Q, "answer": float("nan")}, "no question and answer"),
        ({"question": Q, "answer": "None"}, "no question and answer"),
        ({"question": Q, "answer": float("inf")}, "float"),
        ({"messages": [*TURNS[:1], {"role": "assistant", "content": None}, *TURNS]}, "earlier answer that is empty"),
        ({"messages": [TURNS[0], {**TURNS[1], "weight": 0}]}, "weight 0"),
    ],
)
def test_what_is_no_pair_is_a_drop_that_says_why_and_never_the_text_none(record: dict[str, Any], why: str) -> None:
    parsed = read(json.dumps(record))
    assert not parsed.pairs
    (drop,) = parsed.drops
    assert drop.reason == "no_pair"
    assert drop.detail.startswith("line 1 has")
    assert why in drop.detail


@pytest.mark.parametrize(
    "text", ["{", "text", "[1]", '"text"', '{"a": 1}\n[2]', "[" * 100_000, '{"a": ' + "9" * 5000 + "}"]
)
def test_what_is_no_json_object_makes_the_file_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_several_passages_are_all_in_the_prompt_and_what_means_nothing_is_not() -> None:
    ((question, _),) = pairs({"question": Q, "context": ["It holds 10 mg.", "Keep it cold."], "answer": A})
    assert question == f"It holds 10 mg.\n\nKeep it cold.\n\n{Q}"
    ((question, _),) = pairs({"instruction": Q, "context": "It holds 10 mg.", "instances": [{"output": A}]})
    assert question == f"It holds 10 mg.\n\n{Q}"
    absent: tuple[Any, ...] = (None, "", "nan", "<noinput>", float("nan"), [])
    for nothing in absent:
        assert pairs({"instruction": Q, "input": nothing, "output": A}) == [(Q, A)]


def test_instructions_beside_a_question_are_kept_with_it() -> None:
    assert pairs({"instruction": "Be brief.", "question": Q, "answer": A}) == [(f"Be brief.\n\n{Q}", A)]
    assert pairs({"input": Q, "output": A}) == [(Q, A)]


def test_a_name_that_stands_twice_and_two_splits_in_one_file_are_refused() -> None:
    with pytest.raises(Unreadable, match="line 1 is not JSON: it names 'answer' twice"):
        read('{"question": "a?", "answer": "b", "answer": "c"}')
    record = {"question": Q, "answer": A}
    with pytest.raises(Unreadable, match="several splits \\(train, test\\)"):
        read(json.dumps({"train": [record], "test": [record]}))


def test_files_joined_from_files_with_marks_are_read_and_an_empty_file_says_so() -> None:
    line = json.dumps({"question": Q, "answer": A})
    assert len(read(f"\ufeff{line}\n\ufeff{line}\n\x1e{line}\n").pairs) == 3
    assert [drop.detail for drop in read("\n\n").drops] == ["the file has no record in it"]


@pytest.mark.parametrize("character", ["\\ud83d", "\\u202e", "\\u0000", "\\u001b[2J", "\\u2066", "\\udbff"])
def test_a_pair_with_characters_that_nobody_sees_is_a_drop_that_names_them(character: str) -> None:
    parsed = read(
        f'{{"question": "{Q}", "answer": "Do {character}not take it."}}\n{{"question": "{Q}", "answer": "{A}"}}'
    )
    assert len(parsed.pairs) == 1
    (drop,) = parsed.drops
    assert drop.reason == "hidden_characters"
    assert "U+" in drop.detail
    drop.detail.encode()
