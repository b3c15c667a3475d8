"""Corrections make a new version: rows keep their places, what is wrong with a file is said line by line."""

import json
from typing import Any

import pytest

from posology.core.errors import InvalidInput
from posology.curation.dataset.corrections import check_all_known, check_distinct, correct, read_corrections
from posology.curation.domain import CORRECTED, Message, Pair, make_pair


def pair(number: int) -> Pair:
    return make_pair((Message("user", f"Dose of drug {number}?"),), f"{number} mg.", question_type="dose", source="s")


ROWS = [pair(number) for number in range(5)]


def lines(*corrections: dict[str, Any]) -> list[str]:
    return [json.dumps(one) for one in corrections]


def test_rows_are_changed_dropped_and_kept_in_their_places() -> None:
    read = read_corrections(
        lines(
            {"pair": ROWS[1].id, "answer": "10 mg."},
            {"pair": ROWS[2].id, "drop": True, "comment": "no such drug"},
            {"pair": ROWS[3].id, "question": "Usual dose of drug 3?"},
            {"pair": ROWS[4].id, "answer": "4 mg."},
        )
    )
    made = correct(ROWS, read)
    assert [row.answer for row in made.rows] == ["0 mg.", "10 mg.", "3 mg.", "4 mg."]
    assert [row.question for row in made.rows][2] == "Usual dose of drug 3?"
    assert [CORRECTED in row.tags for row in made.rows] == [False, True, True, False]
    assert (made.rows[0].id, made.rows[3].id) == (ROWS[0].id, ROWS[4].id)  # an equal answer is no change
    assert len({row.id for row in (*made.rows, *ROWS)}) == 7
    assert [(drop.reason, drop.detail) for drop in made.drops] == [("corrected", "no such drug")]
    assert [change["after"] and change["after"]["answer"] for change in made.changes] == ["10 mg.", None, "3 mg."]


def test_of_a_conversation_the_last_question_is_corrected() -> None:
    turns = (Message("user", "What is it?"), Message("assistant", "A drug."), Message("user", "Its dose?"))
    row = make_pair(turns, "5 mg.", question_type="dose", source="s")
    (made,) = correct([row], read_corrections(lines({"pair": row.id, "question": "Its usual dose?"}))).rows
    assert [turn.content for turn in made.prompt] == ["What is it?", "A drug.", "Its usual dose?"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1 is no JSON"),
        ("[]", 'line 1 has no "pair"'),
        ('{"answer": "x"}', 'line 1 has no "pair"'),
        ('{"pair": "p", "anwser": "x"}', "line 1 has anwser; known are pair, answer, question, drop"),
        ('{"pair": "p", "answer": 5}', "line 1 has a answer that is no text"),
        ('{"pair": "p", "drop": "yes"}', "line 1 has a drop that is neither true nor false"),
        ('{"pair": "p"}', 'line 1 needs an "answer" or a "question", or "drop": true alone'),
        ('{"pair": "p", "answer": "  "}', "line 1 needs"),
        ('{"pair": "p", "answer": "x", "drop": true}', "line 1 needs"),
        ('{"pair": "p", "answer": "x"}\n{"pair": "p", "answer": "y"}', "line 2 corrects p a second time"),
        ("\n\n", "holds no correction"),
    ],
)
def test_what_is_no_correction_is_named_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_corrections(text.split("\n"))


def test_the_same_correction_twice_is_one() -> None:
    assert len(read_corrections(lines(*[{"pair": "p", "answer": "x"}] * 2))) == 1


def test_a_correction_of_a_row_that_is_not_there_and_one_that_makes_a_row_twice_are_refused() -> None:
    with pytest.raises(InvalidInput, match="p-unknown"):
        check_all_known(["p-unknown"], ROWS)
    twin = {"pair": ROWS[1].id, "question": ROWS[0].question, "answer": ROWS[0].answer}
    with pytest.raises(InvalidInput, match="there already"):
        check_distinct(correct(ROWS, read_corrections(lines(twin))).rows)
