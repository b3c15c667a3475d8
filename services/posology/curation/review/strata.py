"""A corrected version's review: rows that changed are a stratum with a sample of its own, the bound covers both.

The rows that stayed stand by the review that they had, as far as that proves enough: its sample bounds the errors of
all rows of then, of which those that were found and mended are gone. What it found counts in full, also what was
mended, for the rows that nobody looked at are as they were. Where it proves too little, they are sampled anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from posology.core.evidence import strata as statistics
from posology.core.evidence.strata import Part
from posology.curation.review.domain import CHANGED, KEPT, Item, Policy, Rating, Review, Stratum, kinds, settled


@dataclass(frozen=True)
class Earlier:
    """A closed review of the data set that a version corrects: verdicts by row, and what they rest on."""

    name: str
    subject: str  # digest of what it drew from
    wrong: Mapping[str, bool]  # sampled row -> whether it was found wrong
    reviewers: int
    kinds: tuple[str, ...]


def earlier(review: Review, items: Sequence[Item], ratings: Mapping[str, Sequence[Rating]]) -> Earlier:
    """What a closed review says of each row that it sampled."""
    verdicts = {
        item.pair: settled(ratings.get(item.id, ()), review.policy.reviewers) for item in items if not item.repeat_of
    }
    wrong = {pair: verdict.error for pair, verdict in verdicts.items() if verdict is not None}
    return Earlier(review.name, review.subject, wrong, review.policy.reviewers, tuple(kinds(ratings)))


def strata_of(rows: Iterable[str], before: Iterable[str], policy: Policy, known: Earlier) -> tuple[Stratum, ...]:
    """The strata of a version with the ids `rows`, of a set that had `before`; () if no row changed, or all did."""
    now, then = set(rows), set(before)
    kept, changed = len(now & then), len(now - then)
    if not kept or not changed:
        return ()
    new = Stratum(CHANGED, changed, policy.planned(changed))
    carried = Stratum(
        KEPT,
        kept,
        0,
        review=known.name,
        population=len(then),
        sampled=len(known.wrong),
        errors=sum(known.wrong.values()),
        mended=sum(wrong for pair, wrong in known.wrong.items() if pair not in now),
        kinds=known.kinds,
    )
    enough = upper_bound((carried, new), {}, confidence=policy.confidence) < policy.max_error_rate
    if enough and known.reviewers >= policy.reviewers:
        return (carried, new)
    return (Stratum(KEPT, kept, policy.planned(kept)), new)


def upper_bound(strata: Sequence[Stratum], errors: Mapping[str, int], *, confidence: float) -> float:
    """The bound over all strata; `errors` of this review's items by stratum, all rated."""
    parts = [_part(stratum, errors.get(stratum.name, 0)) for stratum in strata]
    return statistics.upper_bound(parts, rows=sum(stratum.size for stratum in strata), confidence=confidence)


def allowed_errors(strata: Sequence[Stratum], *, limit: float, confidence: float) -> int:
    """Most errors in this review's items with which the bound holds wherever they fall; -1 if not even none would."""
    drawn = [stratum for stratum in strata if stratum.planned]

    def holds(count: int) -> bool:
        spread = ({one.name: min(count, one.planned)} for one in drawn)
        return all(upper_bound(strata, errors, confidence=confidence) < limit for errors in spread)

    low, high = -1, sum(stratum.planned for stratum in drawn) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return min(low, sum(stratum.planned for stratum in drawn))


def rated(stratum: Stratum, count: int, errors: int) -> Stratum:
    """The stratum with this review's own ratings in its numbers, for those who read it."""
    if not stratum.planned:
        return stratum
    return replace(stratum, population=stratum.size, sampled=count, errors=errors)


def _part(stratum: Stratum, errors: int) -> Part:
    if stratum.planned:
        return Part(stratum.size, stratum.planned, errors)
    return Part(stratum.population, stratum.sampled, stratum.errors, stratum.mended)
