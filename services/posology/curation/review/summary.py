"""What the ratings of a review say: counts at any time, the bound only once everything planned is rated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posology.curation.review import bound, domain
from posology.curation.review.agreement import Agreement, agreement
from posology.curation.review.domain import Judgement, Rating, Review


@dataclass(frozen=True)
class Summary:
    """The state of a review in numbers; `upper_bound` is None before the planned number is rated: no peeking."""

    planned: int
    rated: int
    errors: int
    upper_bound: float | None
    allowed_errors: int
    sufficient_sample: int  # without an error
    would_have_sufficed: int  # with the errors found
    chance_to_pass: float
    disagreements: int
    agreement: Agreement | None
    kinds: tuple[str, ...]
    severities: Mapping[str, int]

    @property
    def error_rate(self) -> float:
        """Share of the settled items that are wrong."""
        return self.errors / self.rated if self.rated else 0.0

    @property
    def complete(self) -> bool:
        """Whether everything planned is settled."""
        return self.rated == self.planned


def summarize(review: Review, ratings: Mapping[str, Sequence[Rating]]) -> Summary:
    """Numbers from ratings by item; items without ratings may be absent."""
    policy = review.policy
    verdicts = [v for ratings_of_item in ratings.values() if (v := domain.settled(ratings_of_item, policy.reviewers))]
    errors = sum(verdict.error for verdict in verdicts)
    complete = len(verdicts) == review.planned
    limit, confidence = policy.max_error_rate, policy.confidence
    return Summary(
        planned=review.planned,
        rated=len(verdicts),
        errors=errors,
        upper_bound=bound.upper_bound(errors, len(verdicts), confidence=confidence) if complete else None,
        allowed_errors=bound.allowed_errors(review.planned, limit=limit, confidence=confidence),
        sufficient_sample=bound.sufficient_sample(0, limit=limit, confidence=confidence),
        would_have_sufficed=bound.sufficient_sample(errors, limit=limit, confidence=confidence),
        chance_to_pass=bound.chance_to_pass(limit / 2, review.planned, limit=limit, confidence=confidence),
        disagreements=sum(domain.disputed(ratings_of_item, policy.reviewers) for ratings_of_item in ratings.values()),
        agreement=agreement(domain.first_two(ratings)) if policy.reviewers > 1 else None,
        kinds=tuple(domain.kinds(ratings)),
        severities={judgement.value: verdicts.count(judgement) for judgement in Judgement},
    )


def passed(review: Review, summary: Summary) -> bool:
    """Whether the limit is shown; only asked when the summary is complete."""
    return summary.upper_bound is not None and summary.upper_bound < review.policy.max_error_rate
