"""The rules of a review: which item is settled, what its verdict is, and what the whole says. Standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

EXPERT = "expert"
UNSTATED = "not stated"  # nobody is an expert by default: who reviews says so, and the statement is signed with it
STAND_IN = "automated stand-in, not an expert"


class Task(StrEnum):
    """What reviewers are asked."""

    RATE_CORRECTNESS = "RATE_CORRECTNESS"
    LABEL_REFUSALS = "LABEL_REFUSALS"

    @property
    def judgements(self) -> "tuple[Judgement, ...]":
        """What may be answered."""
        return tuple(one for one in Judgement if one.task is self)


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


def self_agreement(ratings: Mapping[str, Sequence[Rating]], repeats: Mapping[str, str]) -> list[bool]:
    """For each reviewer and repeated item that they rated both times: whether they decided the same."""
    same = []
    for again, first in repeats.items():
        before = {r.reviewer: r.judgement.decision for r in ratings.get(first, ()) if not r.adjudication}
        same += [before[r.reviewer] == r.judgement.decision for r in ratings.get(again, ()) if r.reviewer in before]
    return same


def kinds(ratings: Mapping[str, Sequence[Rating]]) -> list[str]:
    """The kinds of reviewers that took part."""
    return sorted({rating.kind for ratings_of_item in ratings.values() for rating in ratings_of_item})
