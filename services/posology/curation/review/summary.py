"""What the ratings of a review say: counts at any time, the bound only once everything planned is rated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posology.curation.review import bound, domain, strata
from posology.curation.review.agreement import Agreement, agreement
from posology.curation.review.domain import Judgement, Rating, Review, Stratum, Task


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
    repeated: int = 0
    """Repeated items that a reviewer has rated both times."""
    self_agreement: float | None = None
    """Share of those on which the reviewer said the same."""
    unrepeated: int = 0
    """Repeated items that still lack a rating."""
    self_agreement_ac1: float | None = None
    """The same beyond chance (Gwet's AC1)."""
    strata: tuple[Stratum, ...] = ()
    """Of a corrected version: its parts, with their numbers so far."""

    @property
    def error_rate(self) -> float:
        """Share of the settled items that are wrong."""
        return self.errors / self.rated if self.rated else 0.0

    @property
    def complete(self) -> bool:
        """Whether everything planned is settled."""
        return self.rated == self.planned and not self.unrepeated


def summarize(
    review: Review,
    ratings: Mapping[str, Sequence[Rating]],
    repeats: Mapping[str, str] | None = None,
    stratum_of: Mapping[str, str] | None = None,
) -> Summary:
    """Numbers from ratings by item; items without ratings may be absent.

    `repeats`: item -> the one it repeats; `stratum_of`: item -> its stratum, of a corrected version.
    """
    policy, repeats = review.policy, repeats or {}
    again = agreement(domain.self_agreement(ratings, repeats))
    unrepeated = sum(len(ratings.get(item, ())) < policy.reviewers for item in repeats)
    kinds = tuple(sorted({*domain.kinds(ratings), *(kind for one in review.strata for kind in one.kinds)}))
    ratings = {item: ratings_of_item for item, ratings_of_item in ratings.items() if item not in repeats}
    by_item = {item: v for item, of_item in ratings.items() if (v := domain.settled(of_item, policy.reviewers))}
    verdicts = list(by_item.values())
    errors = sum(verdict.error for verdict in verdicts)
    rated, wrong = _by_stratum(by_item, stratum_of or {})
    complete = len(verdicts) == review.planned and not unrepeated
    rates = review.task is Task.RATE_CORRECTNESS
    limit, confidence = policy.max_error_rate, review.confidence
    return Summary(
        planned=review.planned,
        rated=len(verdicts),
        errors=errors,
        upper_bound=_upper_bound(review, errors, len(verdicts), wrong) if complete and rates else None,
        allowed_errors=strata.allowed_errors(review.strata, limit=limit, confidence=confidence)
        if review.strata
        else bound.allowed_errors(review.planned, limit=limit, confidence=confidence),
        sufficient_sample=bound.sufficient_sample(0, limit=limit, confidence=confidence),
        would_have_sufficed=bound.sufficient_sample(errors, limit=limit, confidence=confidence),
        chance_to_pass=bound.chance_to_pass(limit / 2, review.planned, limit=limit, confidence=confidence),
        disagreements=sum(domain.disputed(ratings_of_item, policy.reviewers) for ratings_of_item in ratings.values()),
        agreement=agreement(domain.first_two(ratings)) if policy.reviewers > 1 else None,
        kinds=kinds,
        severities={judgement.value: verdicts.count(judgement) for judgement in review.task.judgements},
        repeated=again.items,
        self_agreement=again.raw if again.items else None,
        unrepeated=unrepeated,
        self_agreement_ac1=again.ac1 if again.items else None,
        strata=tuple(strata.rated(one, rated[one.name], wrong[one.name]) for one in review.strata),
    )


def _by_stratum(verdicts: Mapping[str, Judgement], stratum_of: Mapping[str, str]) -> tuple[Counter[str], Counter[str]]:
    """How many items of each stratum are settled, and how many of them are wrong."""
    rated = Counter(stratum_of.get(item, "") for item in verdicts)
    wrong = Counter(stratum_of.get(item, "") for item, verdict in verdicts.items() if verdict.error)
    return rated, wrong


def _upper_bound(review: Review, errors: int, rated: int, wrong: Mapping[str, int]) -> float:
    confidence = review.confidence
    if review.strata:
        return strata.upper_bound(review.strata, wrong, confidence=confidence)
    return bound.upper_bound(errors, rated, confidence=confidence)


def passed(review: Review, summary: Summary) -> bool:
    """Whether the limit is shown, or all is labelled or rated where there is none; only asked when that is complete."""
    if review.task is not Task.RATE_CORRECTNESS:
        return summary.complete
    return summary.upper_bound is not None and summary.upper_bound < review.policy.max_error_rate
