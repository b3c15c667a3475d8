"""Suite files are read strictly, and stored items give back what was scored."""

import json
import math

import pytest

from posology.core.errors import DataCorrupt, InvalidInput
from posology.evaluation import items, suites
from posology.evaluation.domain import BASE, TUNED, Answer, Choice, ParityStep, Policy, Suite, SuiteKind

GOOD = {"id": "1", "question": "Which?", "choices": ["a", "b"], "answer": 1, "cluster": "c"}


def read(*lines: object, kind: SuiteKind = SuiteKind.MULTIPLE_CHOICE) -> tuple[suites.Item, ...]:
    content = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return suites.parse(content.encode(), kind, name="s")


def test_a_question_keeps_its_excerpt_apart_and_asks_with_it() -> None:
    [closed, opened] = read(GOOD, GOOD | {"id": "2", "context": "A drug."})
    assert isinstance(opened, suites.Question)
    assert closed.prompt == "Which?"
    assert opened.prompt == "Excerpt: A drug.\nQuestion: Which?"
    assert (opened.answer, opened.cluster) == (1, "c")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is no JSON"),
        ([1], "is no JSON object"),
        (GOOD | {"choices": ["a"]}, "2 to 26"),
        (GOOD | {"choices": ["a", "a"]}, "differ"),
        (GOOD | {"choices": "ab"}, "2 to 26"),
        (GOOD | {"answer": 2}, "from 0 to 1"),
        (GOOD | {"answer": True}, "from 0 to 1"),
        (GOOD | {"answer": "1"}, "from 0 to 1"),
        (GOOD | {"question": ""}, "question must be a text"),
        ({k: v for k, v in GOOD.items() if k != "id"}, "id must be a text"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(line: object, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        read(GOOD | {"id": "first"}, line)
    assert caught.value.violations[0].field == "s:2"


def test_every_wrong_line_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        read("{", GOOD, "[]", GOOD)
    assert [v.field for v in caught.value.violations] == ["s:1", "s:3", "s"]


def test_a_suite_that_only_asks_for_refusals_is_refused() -> None:
    unsafe = {"id": "1", "prompt": "p", "unsafe": True}
    with pytest.raises(InvalidInput, match="a model that refuses all would pass"):
        read(unsafe, kind=SuiteKind.REFUSAL)
    assert len(read(unsafe, unsafe | {"id": "2", "unsafe": False}, kind=SuiteKind.REFUSAL)) == 2


def test_an_empty_file_or_one_in_another_encoding_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no items"):
        read("")
    with pytest.raises(InvalidInput, match="UTF-8"):
        suites.parse(b'{"id": "\xff"}', SuiteKind.MULTIPLE_CHOICE, name="s")


def test_items_survive_storing_and_numbers_that_are_none_become_null() -> None:
    scored = [Choice("1", "c", 1, (-1.5, -2.0)), Choice("2", "", 0, (math.nan, -math.inf))]
    said = Answer("3", "", True, "I cannot “do” that.", False)
    lines = [items.line("mcq", BASE, scored[0]), items.line("mcq", TUNED, scored[1]), items.line("safety", BASE, said)]
    stored = items.read_lines(items.write(lines).encode())
    policy = Policy((Suite("mcq", "d"), Suite("safety", "d", SuiteKind.REFUSAL)), ())
    step = ParityStep("a = b", 3, 0.5, math.nan, 0.1)
    found = items.evidence(stored, items.parity_json([step]), policy)
    assert found.choices["mcq"][BASE] == [scored[0]]
    assert found.choices["mcq"][TUNED][0].scores == (None, None)
    assert found.answers["safety"][BASE] == [said]
    assert found.parity == (ParityStep("a = b", 3, 0.5, None, 0.1),)


def test_items_of_a_suite_that_was_not_asked_for_are_damage() -> None:
    line = items.line("other", BASE, Choice("1", "", 0, (-1.0, -2.0)))
    with pytest.raises(DataCorrupt, match="other"):
        items.evidence([line], [], Policy((Suite("mcq", "d"),), ()))
