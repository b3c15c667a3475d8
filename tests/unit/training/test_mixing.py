"""General rows are mixed in by the share alone, however the artifacts that they come from look."""

import random
from itertools import pairwise
from typing import Any

import pytest

from posology.training.mixing import REFUSAL, SET, TRAIN, Mixture, as_made, is_general, mixed


def row(question: str, *tags: str, answer: str = "") -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": answer or f"Answer to {question}"}],
        "tags": list(tags),
    }


CLINICAL = [row(f"What is the dose of drug {n}?") for n in range(90)]
GENERAL = [row(f"Tell me about topic {n}.", "general", *(["refusal"] if n % 3 == 0 else [])) for n in range(60)]


def questions(mixture: Mixture) -> set[str]:
    return {place.row["prompt"][0]["content"] for place in mixture.rows if is_general(place.row)}


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.001, 1), (0.1, 10), (0.25, 30), (0.4, 60)])
def test_a_share_of_all_rows_is_general(share: float, count: int) -> None:
    mixture = mixed(CLINICAL, GENERAL, share)
    assert (mixture.general, mixture.wanted, len(mixture.rows)) == (count, count, 90 + count)


def test_the_rows_of_a_smaller_share_are_among_those_of_a_larger_one() -> None:
    drawn = [questions(mixed(CLINICAL, GENERAL, share / 100)) for share in range(41)]
    assert all(smaller <= larger for smaller, larger in pairwise(drawn))


def test_refusals_keep_their_share_of_the_general_rows() -> None:
    mixture = mixed(CLINICAL, GENERAL, 0.25)
    refusals = sum(REFUSAL in place.row["tags"] for place in mixture.rows)
    assert refusals == 10


def test_a_set_with_too_few_rows_gives_all_that_it_has() -> None:
    mixture = mixed(CLINICAL, GENERAL[:4], 0.5)
    assert (mixture.general, mixture.wanted) == (4, 90)


def test_the_order_of_the_set_changes_nothing() -> None:
    shuffled = random.Random(1).sample(GENERAL, len(GENERAL))
    texts = [[place.row for place in mixed(CLINICAL, rows, 0.2).rows] for rows in (GENERAL, shuffled)]
    assert texts[0] == texts[1]


def test_a_data_set_with_general_rows_of_its_own_stays_as_it_is_without_a_set() -> None:
    mixture = as_made([*CLINICAL, *GENERAL[:7]])
    assert ([place.row for place in mixture.rows], mixture.general) == ([*CLINICAL, *GENERAL[:7]], 7)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.3])
def test_a_data_set_with_general_rows_of_its_own_never_goes_above_the_share(share: float) -> None:
    plain, with_own = mixed(CLINICAL, GENERAL, share), mixed([*CLINICAL, *GENERAL[:20]], GENERAL, share)
    assert with_own.general == plain.general
    assert questions(with_own) == questions(plain)


def test_general_rows_of_the_data_set_count_where_the_set_has_none_of_them() -> None:
    mixture = mixed([*CLINICAL, *GENERAL[:20]], GENERAL[20:], 0.4)
    assert mixture.general == 60


def test_a_general_row_that_asks_what_a_clinical_one_asks_is_left_out() -> None:
    twin = row("What is the dose of drug 3?", "general", answer="No idea.")
    assert mixed(CLINICAL, [twin], 0.5).general == 0


def test_the_same_row_twice_is_taken_once() -> None:
    assert mixed(CLINICAL, [GENERAL[0], GENERAL[0]], 0.5).general == 1


def test_every_row_says_where_it_stands() -> None:
    mixture = mixed(CLINICAL, GENERAL, 0.4)
    files = {TRAIN: CLINICAL, SET: GENERAL}
    assert all(files[place.file][place.number - 1] is place.row for place in mixture.rows)


def test_a_conversation_of_several_turns_and_rows_without_tags_are_taken() -> None:
    turns = {"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "completion": []}
    mixture = mixed([{**turns}], GENERAL[:1], 0.5)
    assert len(mixture.rows) == 2
