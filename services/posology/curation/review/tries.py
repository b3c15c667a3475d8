"""Counting: every review of a set is a try, and a later one is decided at a smaller error (core/release/tries).

Whoever may ask for another review until one passes would pass a bad set in the end. A review counts as a try of this
one where a row that it drew is in this set, in the same namespace, or where it drew from the same rows, in any. It does
not count where it passed and asked for at least as much, for then nobody needed another; nor where nobody rated
anything of it and the same sample comes again.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import RowMapping, select, text

from posology.core.store import Transaction
from posology.curation.review import tables
from posology.curation.review.domain import Review, ReviewState


@dataclass(frozen=True)
class Frame:
    """Ids of the rows that a sample is drawn from, and their digest."""

    rows: Collection[str]
    digest: str


async def alone(tx: Transaction) -> None:
    """Until the transaction ends nobody else opens a review: two that are opened together are tries of one another."""
    if tx.dialect.name == "postgresql":  # SQLite has one writer anyway
        await tx.execute(text("select pg_advisory_xact_lock(hashtextextended('posology:reviews', 0))"))


async def number(tx: Transaction, review: Review, frame: Frame, *, planned: int, carried: str = "") -> int:
    """Which try a review would be, from 1. `carried` is a review whose sample stands for the rows that stayed: looking
    at it again is no new chance."""
    c = tables.reviews.c
    columns = (c.name, c.state, c.max_error_rate, c.confidence, c.frame_digest, c.seed, c.planned)
    near = select(*columns).where(
        c.kind == review.kind,
        c.task == review.task.value,
        c.name.not_in((review.name, carried)),
        (c.frame_digest == frame.digest) | (c.namespace == review.namespace),
    )
    spent = [one for one in (await tx.execute(near)).mappings() if not _showed_as_much(one, review)]
    again = {one["name"] for one in spent if _comes_again(one, review, frame, planned)}
    spared = again - await _rated(tx, again)
    same = {one["name"] for one in spent if one["frame_digest"] == frame.digest}
    drew = await _drew_any(tx, {one["name"] for one in spent} - same, frame.rows)
    return 1 + len((same | drew) - spared)


def _showed_as_much(earlier: RowMapping, review: Review) -> bool:
    policy = review.policy
    return bool(
        earlier["state"] == ReviewState.PASSED.value
        and earlier["max_error_rate"] <= policy.max_error_rate
        and earlier["confidence"] >= policy.confidence
    )


def _comes_again(earlier: RowMapping, review: Review, frame: Frame, planned: int) -> bool:
    return (
        earlier["state"] == ReviewState.CANCELLED.value
        and earlier["frame_digest"] == frame.digest
        and (earlier["seed"], earlier["planned"]) == (review.seed, planned)
    )


async def _rated(tx: Transaction, reviews: Collection[str]) -> frozenset[str]:
    c = tables.ratings.c
    return frozenset((await tx.execute(select(c.review).where(c.review.in_(reviews)).distinct())).scalars())


async def _drew_any(tx: Transaction, reviews: Collection[str], rows: Collection[str]) -> set[str]:
    c = tables.items.c
    drawn = (await tx.execute(select(c.review, c.pair).where(c.review.in_(reviews)))).all()
    return {one.review for one in drawn if one.pair in rows}
