"""Two data sets are compared at equal n, drawn alike each time; figures say what they count."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.signed_world import build

from posology.client.set_comparison import compare_rows, compare_sets, table
from posology.core.errors import InvalidInput


def row(number: int, *, turns: int = 1, drug: str = "", tags: tuple[str, ...] = ()) -> dict[str, Any]:
    asked = [{"role": "user", "content": f"What is the dose of drug {number}?"}]
    before = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Yes?"}] * (turns - 1)
    return {
        "id": f"p-{number}",
        "prompt": [*before, *asked],
        "completion": [{"role": "assistant", "content": f"It is {number} mg once daily."}],
        "question_type": "dose",
        "drug": drug,
        "section": "",
        "tags": list(tags),
    }


def test_the_smaller_set_decides_how_many_are_drawn_and_the_draw_is_repeatable() -> None:
    few, many = [row(n) for n in range(30)], [row(n) for n in range(500)]
    one, other = compare_rows([few, many], [{}, {}])
    assert (one.rows, one.n, other.rows, other.n) == (30, 30, 500, 30)
    assert compare_rows([few, many], [{}, {}]) == compare_rows([few[::-1], many[::-1]], [{}, {}])
    assert compare_rows([few, many], [{}, {}], seed=1) != compare_rows([few, many], [{}, {}])


def test_figures_are_of_the_rows_drawn() -> None:
    rows = [row(n, turns=2 if n < 3 else 1, drug=f"d{n % 4}") for n in range(10)]
    one, _ = compare_rows([rows, rows], [{"rated": 200, "errors": 1, "upper_bound": 0.0235}, {}])
    assert (one.drugs, one.question_types, one.conversations, one.shared_questions) == (4, 1, 3, 10)
    assert (one.question_words, one.answer_words, one.repeated_openings) == (7, 6, 1.0)
    assert one.distinct_bigrams == pytest.approx((2 * 10 + 3) / 50)
    shown = {name: cells for name, *cells in table((one, one))}
    assert shown["error rate under"] == ["2.4%", "2.4%"]


def test_more_than_the_smaller_set_has_and_an_empty_set_are_refused() -> None:
    with pytest.raises(InvalidInput, match="the smaller set has 3"):
        compare_rows([[row(n) for n in range(3)], [row(n) for n in range(9)]], [{}, {}], n=4)
    with pytest.raises(InvalidInput, match="no rows"):
        compare_rows([[], [row(1)]], [{}, {}])


def test_general_rows_are_no_part_of_either_and_reviews_are_read(tmp_path: Path) -> None:
    world = build(tmp_path)
    digests = []
    for rows in ([row(1), row(2), row(3, tags=("general",))], [row(4), row(5)]):
        lines = "".join(json.dumps(one) + "\n" for one in rows)
        review = json.dumps({"rated": 2, "errors": 0, "upper_bound": 0.78})
        digests.append(world.publish({"train.jsonl": lines, "review.json": review}, kind="dataset"))
    one, other = compare_sets(world.stored, digests[0], digests[1])
    assert (one.rows, one.n, other.n, one.upper_bound) == (2, 2, 2, 0.78)
