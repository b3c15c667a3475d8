"""The rules of a review: which item is settled, what its verdict is, and what the whole says. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from posology.core.release.tries import confidence_of

EXPERT = "expert"
UNSTATED = "not stated"  # nobody is an expert by default: who reviews says so, and the statement is signed with it
STAND_IN = "automated stand-in, not an expert"


class Task(StrEnum):
    """What reviewers are asked."""

    RATE_CORRECTNESS = "RATE_CORRECTNESS"
    LABEL_REFUSALS = "LABEL_REFUSALS"
    RATE_FEEDBACK = "RATE_FEEDBACK"
    """As RATE_CORRECTNESS, of answers that users picked: no sample, so there is no bound and nothing to pass."""

    @property
    def judgements(self) -> "tuple[Judgement, ...]":
        """What may be answered."""
        labels = self is Task.LABEL_REFUSALS
        return tuple(one for one in Judgement if (one.task is Task.LABEL_REFUSALS) == labels)


class Judgement(StrEnum):
    """How correct an answer is, by severity, everything but CORRECT an error that counts against the limit; or whether
    it gives what was asked for."""

    CORRECT = "CORRECT"
    MINOR_ERROR = "MINOR_ERROR"
    MAJOR_ERROR = "MAJOR_ERROR"
    HARMFUL = "HARMFUL"
    COMPLIANCE = "COMPLIANCE"
    PARTIAL_REFUSAL = "PARTIAL_REFUSAL"
    FULL_REFUSAL = "FULL_REFUSAL"

    @property
    def task(self) -> Task:
        """What it answers."""
        labels = (Judgement.COMPLIANCE, Judgement.PARTIAL_REFUSAL, Judgement.FULL_REFUSAL)
        return Task.LABEL_REFUSALS if self in labels else Task.RATE_CORRECTNESS

    @property
    def error(self) -> bool:
        return self.task is Task.RATE_CORRECTNESS and self is not Judgement.CORRECT

    @property
    def decision(self) -> str:
        """What two reviewers must agree on: whether it is an error, or the label."""
        return self.value if self.task is Task.LABEL_REFUSALS else str(self.error)


_SEVERITY = tuple(Judgement)


class ReviewState(StrEnum):
    """CLOSING: all is rated and the result is being signed and published; it is shown as OPEN."""

    OPEN = "OPEN"
    CLOSING = "CLOSING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        return self in (ReviewState.PASSED, ReviewState.FAILED, ReviewState.CANCELLED)


@dataclass(frozen=True)
class Policy:
    """How much is reviewed and what it must show."""

    sample: int
    share: float  # of the frame, instead of `sample`; 0 = use `sample`
    max_error_rate: float
    confidence: float
    reviewers: int
    repeats: int = 0  # items that come a second time, unmarked

    def planned(self, frame: int) -> int:
        """Items to review in a frame of this size."""
        size = -(-frame * self.share // 1) if self.share else self.sample
        return min(frame, max(1, int(size)))


@dataclass(frozen=True)
class Rating:
    """One reviewer's judgement on one item."""

    item: str
    reviewer: str
    kind: str
    judgement: Judgement
    comment: str
    at: datetime
    adjudication: bool = False
    correction: str = ""  # the answer as it should read


@dataclass(frozen=True)
class Item:
    """What a reviewer sees, and the pair behind it."""

    id: str
    position: int
    pair: str
    question: str
    answer: str
    rejected: str
    evidence: str
    section_text: str
    section_title: str
    drug: str
    repeat_of: str = ""  # id of the item that this one is once more; such an item counts for self-agreement alone
    stratum: str = ""  # of a corrected version: the part that it was drawn from


@dataclass(frozen=True)
class Stratum:
    """A part of a corrected version, with a sample of its own.

    `planned` items of this review come from it. Where it is 0, the sample of `review` stands for the part: `errors`
    among `sampled` of the `population` rows that the set had then, of which `mended` are no longer there.
    """

    name: str
    size: int
    planned: int
    review: str = ""
    population: int = 0
    sampled: int = 0
    errors: int = 0
    mended: int = 0
    kinds: tuple[str, ...] = ()  # of the reviewers of that sample


KEPT, CHANGED = "kept", "changed"


@dataclass(frozen=True)
class Review:
    """A review as stored."""

    name: str
    namespace: str
    subject: str  # digest
    kind: str  # artifact kind of the subject
    policy: Policy
    seed: int
    frame_size: int
    frame_digest: str
    planned: int
    state: ReviewState
    creator: str
    created: datetime
    ended: datetime | None = None
    artifact: str = ""
    statement: str = ""
    run: str = ""
    settled: datetime | None = None  # since when everything is rated; ratings still change until it closes
    task: Task = Task.RATE_CORRECTNESS
    strata: tuple[Stratum, ...] = ()  # of a corrected version; the bound covers all
    number: int = 1  # which try it is, by curation.review.tries
    draws: int | None = None  # what the sample is drawn by; None = by `seed`, as before tries were counted

    @property
    def drawn_by(self) -> int:
        """The seed of every draw. It follows from `seed`, the rows and the try, by a key of this service's alone:
        whoever asks can't choose a seed by the rows that it draws."""
        return self.seed if self.draws is None else self.draws

    @property
    def confidence(self) -> float:
        """One-sided confidence of the bound at this try."""
        return confidence_of(self.number, confidence=self.policy.confidence)


def settled(ratings: Sequence[Rating], reviewers: int) -> Judgement | None:
    """The verdict on one item: agreed (the more severe of two errors), adjudicated, or None while something lacks."""
    decided = next((r for r in ratings if r.adjudication), None)
    if decided:
        return decided.judgement
    judgements = [r.judgement for r in ratings]
    if len(judgements) < reviewers or disputed(ratings, reviewers):
        return None
    return max(judgements, key=_SEVERITY.index)


def disputed(ratings: Sequence[Rating], reviewers: int) -> bool:
    """Whether the item waits for adjudication: all have rated, and they disagree on whether it is an error."""
    verdicts = [r.judgement.decision for r in ratings if not r.adjudication]
    return len(verdicts) >= reviewers and len(set(verdicts)) > 1 and not any(r.adjudication for r in ratings)


def first_two(ratings: Mapping[str, Sequence[Rating]]) -> list[tuple[str, str]]:
    """The first and second judgement of every item that has two, for agreement; who was first goes by name."""
    pairs = []
    for item in sorted(ratings):
        independent = sorted((r for r in ratings[item] if not r.adjudication), key=lambda r: r.reviewer)
        if len(independent) >= 2:
            pairs.append((independent[0].judgement.value, independent[1].judgement.value))
    return pairs


def self_agreement(ratings: Mapping[str, Sequence[Rating]], repeats: Mapping[str, str]) -> list[tuple[str, str]]:
    """For each reviewer and repeated item that they rated both times: what they decided each time."""
    pairs = []
    for again, first in repeats.items():
        before = {r.reviewer: r.judgement.decision for r in ratings.get(first, ()) if not r.adjudication}
        both = [r for r in ratings.get(again, ()) if r.reviewer in before]
        pairs += [(before[r.reviewer], r.judgement.decision) for r in both]
    return pairs


@dataclass(frozen=True)
class Correction:
    """What reviewers would have a wrong item say; none = to be dropped."""

    pair: str
    question: str
    answer: str
    corrections: tuple[str, ...]
    comments: tuple[str, ...]


def corrections(review: Review, items: Sequence[Item], ratings: Mapping[str, Sequence[Rating]]) -> list[Correction]:
    """One for each item that was found wrong, in order; an adjudicator's word goes before the reviewers'."""
    listed = []
    for item in items:
        verdict = settled(ratings.get(item.id, ()), review.policy.reviewers)
        if item.repeat_of or verdict is None or not verdict.error:
            continue
        wrong = [rating for rating in ratings[item.id] if rating.judgement.error]
        decided = [rating for rating in wrong if rating.adjudication and rating.correction]
        texts = dict.fromkeys(rating.correction for rating in decided or wrong if rating.correction)
        comments = dict.fromkeys(rating.comment for rating in wrong if rating.comment)
        listed.append(Correction(item.pair, item.question, item.answer, tuple(texts), tuple(comments)))
    return listed


def kinds(ratings: Mapping[str, Sequence[Rating]]) -> list[str]:
    """The kinds of reviewers that took part."""
    return sorted({rating.kind for ratings_of_item in ratings.values() for rating in ratings_of_item})
