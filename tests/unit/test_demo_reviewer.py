"""The scripted reviewer finds what a script can find, and never calls itself an expert."""

import pytest
from examples.demo.reviewer import KIND, judge

from posology.v1alpha1.curation_pb2 import ReviewItem, ReviewRating

SECTION = "The maximum dose of Quosizol is 120 mg per day. Take Quosizol with water."
EVIDENCE = "The maximum dose of Quosizol is 120 mg per day."


@pytest.mark.parametrize(
    ("answer", "rejected", "expected"),
    [
        ("The answer is 120 mg per day.", "", ReviewRating.CORRECT),
        ("The answer is 20 mg per day.", "", ReviewRating.MAJOR_ERROR),  # part of a number is another number
        ("The answer is water.", "", ReviewRating.MINOR_ERROR),  # true, but not what the evidence says
        ("The answer is 120 mg per day.", "The answer is 240 mg per day.", ReviewRating.CORRECT),
        ("The answer is 120 mg per day.", "The answer is 120 mg.", ReviewRating.MINOR_ERROR),
        ("Take Quosizol  with water.", "", ReviewRating.MINOR_ERROR),
    ],
)
def test_an_answer_is_right_when_the_label_says_so(
    answer: str, rejected: str, expected: ReviewRating.Judgement.ValueType
) -> None:
    item = ReviewItem(answer=answer, rejected=rejected, section_text=SECTION, evidence=EVIDENCE)
    assert judge(item)[0] == expected


def test_the_reviewer_says_that_it_is_no_expert() -> None:
    assert KIND == "automated stand-in, not an expert"
