"""Which reviews are counted as tries, and what the number of one costs; `tries` counts them."""

from posology.core.release.tries import price
from posology.curation.review.domain import Review, Task


def is_counted(review: Review) -> bool:
    """Whether tries are counted: of what training reads. Answers of an evaluation are counted by their suite."""
    return review.task is Task.RATE_CORRECTNESS and review.kind in ("dataset", "preferences")


def price_of(review: Review) -> str:
    """Which try a review is and what that costs, in one sentence."""
    return price(review.number, confidence=review.policy.confidence, of="this set", fresh="a set of other rows")
