"""One key an item: rating, going back, stopping, going on."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from posology.cli import review_keys
from posology.cli.output import Format, Writer
from posology.cli.state import State
from posology.v1alpha1.curation_pb2 import Review, ReviewItem, ReviewRating

ITEMS = [ReviewItem(item_id=f"i{n}", question=f"q{n}", answer=f"a{n}", evidence=f"label {n}") for n in range(3)]

REVIEW = Review()


@pytest.fixture
def ratings(monkeypatch: pytest.MonkeyPatch) -> list[ReviewRating]:
    stored: list[ReviewRating] = []
    left = iter(ITEMS)

    def next_item(*_: Any, **__: Any) -> ReviewItem | None:
        return next(left, None)

    monkeypatch.setattr(review_keys, "_review", lambda *_: REVIEW)
    monkeypatch.setattr(review_keys, "_next", next_item)
    monkeypatch.setattr(review_keys, "_store", lambda _at, _review, rating, **__: stored.append(rating))
    return stored


def press(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    pressed: Iterator[str] = iter(keys)
    monkeypatch.setattr(typer, "getchar", lambda: next(pressed))
    at = State(None, "default", Writer(Format.TEXT))
    review_keys.rate_all(at, "r", reviewer="jane", kind="", adjudicate=False)


def summary(ratings: list[ReviewRating]) -> list[tuple[str, str]]:
    return [(one.item_id, ReviewRating.Judgement.Name(one.judgement)) for one in ratings]


def test_one_key_rates_one_item_until_none_is_left(
    monkeypatch: pytest.MonkeyPatch, ratings: list[ReviewRating]
) -> None:
    press(monkeypatch, "124")
    assert summary(ratings) == [("i0", "CORRECT"), ("i1", "MINOR_ERROR"), ("i2", "HARMFUL")]
    assert not any(one.reviewer_kind for one in ratings), "nobody is an expert unless they say so"


def test_a_slip_is_taken_back_and_the_item_in_hand_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, ratings: list[ReviewRating]
) -> None:
    press(monkeypatch, "1u311")
    assert summary(ratings) == [("i0", "CORRECT"), ("i0", "MAJOR_ERROR"), ("i1", "CORRECT"), ("i2", "CORRECT")]


@pytest.mark.parametrize("keys", ["1q", "1\x03", "1\x04", "xu\x1b51q"])
def test_stopping_keeps_what_was_rated_and_other_keys_do_nothing(
    monkeypatch: pytest.MonkeyPatch, ratings: list[ReviewRating], keys: str
) -> None:
    press(monkeypatch, keys)
    assert summary(ratings) == [("i0", "CORRECT")]


def test_labels_have_keys_of_their_own(monkeypatch: pytest.MonkeyPatch, ratings: list[ReviewRating]) -> None:
    monkeypatch.setattr(review_keys, "_review", lambda *_: Review(task=Review.LABEL_REFUSALS))
    press(monkeypatch, "1423")  # 4 is no key here
    assert [judgement for _, judgement in summary(ratings)] == ["COMPLIANCE", "PARTIAL_REFUSAL", "FULL_REFUSAL"]


def test_the_label_stands_beside_the_answer() -> None:
    text = "\n".join(review_keys.lines(ITEMS[0]))
    assert text.index("a0") < text.index("label 0")
