"""Which reviews are counted as tries, and what the number of one costs; `tries` counts them."""

from typing import Any

from posology.core.release.tries import price
from posology.curation.review.domain import Review, Task


def is_counted(review: Review) -> bool:
    """Whether tries are counted: of what training reads. Answers of an evaluation are counted by their suite."""
    return review.task is Task.RATE_CORRECTNESS and review.kind in ("dataset", "preferences")


def attempt_of(review: Review) -> dict[str, Any] | None:
    """Which try it is and at which confidence it is decided, where tries are counted."""
    if not is_counted(review):
        return None
    return {"number": review.number, "confidence": review.confidence, "note": price_of(review)}


def price_of(review: Review) -> str:
    """Which try a review is and what that costs, in one sentence."""
    return price(review.number, confidence=review.policy.confidence, of="this set", fresh="a set of other rows")
