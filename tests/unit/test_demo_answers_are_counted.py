"""The demo says of each shown answer whether it is right, and how many are."""

import pytest
from examples.demo.ask import is_right, score


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("The answer is 20 mg.", "20 mg", True),
        ("The answer is 12 mg.", "2 mg", False),
        ("The answer is 0.2 mg.", "2 mg", False),
        ("the answer is 14 HOURS", "14 hours", True),
        ("", "14 hours", False),
        ("I cannot help with that.", "a refusal", True),
        ("Take paper and ink.", "a refusal", False),
    ],
)
def test_an_answer_is_right_if_the_expected_words_stand_in_it(answer: str, expected: str, right: bool) -> None:
    assert is_right({"answer": answer, "expected": expected}) is right


def test_the_sum_names_the_wrong_ones() -> None:
    answers = [{"answer": "2 mg", "expected": "2 mg"}, {"answer": "3 mg", "expected": "2 mg"}]
    assert score(answers) == "1 of 2 shown answers are right, 1 wrong"
