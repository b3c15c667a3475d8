"""Reviews in the database; every function works inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, case, func, insert, null, select, update

from posology.core.errors import AlreadyExists, NotFound
from posology.core.store import Transaction, pages
from posology.curation.review import tables
from posology.curation.review.domain import Item, Judgement, Policy, Rating, Review, ReviewState, Stratum, Task

_POLICY = ("sample", "share", "max_error_rate", "confidence", "reviewers", "repeats")
ALL = "-"  # the namespace that stands for all


async def create(tx: Transaction, review: Review, items: Sequence[Item], *, request_id: str) -> Review:
    """Store a review with its items; the first one when it was asked for before, AlreadyExists for another."""
    existing = await _same(tx, review, request_id)
    if existing:
        return existing
    await tx.execute(insert(tables.reviews).values(**_columns(review), request_id=request_id or None))
    rows = [vars(item) | {"review": review.name} for item in items]
    await tx.execute(insert(tables.items), rows)
    return review


async def find(tx: Transaction, review: Review, *, request_id: str) -> Review | None:
    """The stored review that a repeated request asks for."""
    return await _same(tx, review, request_id)


async def requested(tx: Transaction, namespace: str, request_id: str) -> Review | None:
    """The review that this request made, whatever it would make now."""
    c = tables.reviews.c
    query = select(tables.reviews).where(c.namespace == namespace, c.request_id == request_id)
    row = (await tx.execute(query)).mappings().first()
    return _review(row) if row is not None else None


async def get(tx: Transaction, name: str, *, lock: bool = False) -> Review:
    """The review; NotFound. `lock` holds its row until the transaction ends."""
    query = select(tables.reviews).where(tables.reviews.c.name == name)
    row = (await tx.execute(query.with_for_update() if lock else query)).mappings().first()
    if row is None:
        raise NotFound(f"there is no review {name}; `posology review list` shows those that are there")
    return _review(row)


async def list_page(
    tx: Transaction, namespace: str, *, size: int, token: str, ended_after: datetime | None
) -> tuple[list[Review], str]:
    """A page of reviews, newest first, and the token of the next."""
    c = tables.reviews.c
    query = select(tables.reviews)
    query = query if namespace == ALL else query.where(c.namespace == namespace)
    query = query.where(c.ended > ended_after) if ended_after else query
    scope = f"reviews/{namespace}/{ended_after.isoformat() if ended_after else ''}"
    page = await pages.fetch(tx, query, order=(c.created, c.name), size=size, token=token, scope=scope, descending=True)
    return [_review(row) for row in page.rows], page.next_token


async def in_state(tx: Transaction, state: ReviewState) -> list[str]:
    """Names of reviews in a state."""
    query = select(tables.reviews.c.name).where(tables.reviews.c.state == state.value)
    return [row.name for row in await tx.execute(query)]


async def items(tx: Transaction, review: str) -> list[Item]:
    """All items in the order in which they were drawn."""
    query = select(tables.items).where(tables.items.c.review == review).order_by(tables.items.c.position)
    return [_item(row) for row in (await tx.execute(query)).mappings()]


async def positions(tx: Transaction, review: str) -> dict[str, int]:
    """Item id -> position, without the texts."""
    query = select(tables.items.c.id, tables.items.c.position).where(tables.items.c.review == review)
    return {row.id: row.position for row in await tx.execute(query)}


async def repeats(tx: Transaction, review: str) -> dict[str, str]:
    """Items that are another once more -> that one."""
    c = tables.items.c
    query = select(c.id, c.repeat_of).where(c.review == review, c.repeat_of != "")
    return {row.id: row.repeat_of for row in await tx.execute(query)}


async def strata(tx: Transaction, review: str) -> dict[str, str]:
    """Item -> its stratum, of a corrected version; {} for other reviews."""
    c = tables.items.c
    query = select(c.id, c.stratum).where(c.review == review, c.stratum != "")
    return {row.id: row.stratum for row in await tx.execute(query)}


async def closed_about(tx: Transaction, namespace: str, digests: Sequence[str]) -> Review | None:
    """The newest closed review of these digests, or that published one of them; not one of a corrected version."""
    c = tables.reviews.c
    query = (
        select(tables.reviews)
        .where(c.namespace == namespace, c.kind == "dataset", c.strata.is_(None))
        .where(c.state.in_([ReviewState.PASSED.value, ReviewState.FAILED.value]))
        .where(c.subject.in_(digests) | c.artifact.in_(digests))
        .order_by(c.ended.desc())
    )
    row = (await tx.execute(query)).mappings().first()
    return _review(row) if row is not None else None


async def item(tx: Transaction, review: str, item_id: str) -> Item:
    """One item; NotFound."""
    query = select(tables.items).where(tables.items.c.review == review, tables.items.c.id == item_id)
    row = (await tx.execute(query)).mappings().first()
    if row is None:
        raise NotFound(f"{review} has no item {item_id!r}; ask NextReviewItem for one")
    return _item(row)


async def items_of(tx: Transaction, review: str, ids: Sequence[str]) -> list[Item]:
    """Items by their ids, in no order."""
    c = tables.items.c
    query = select(tables.items).where(c.review == review, c.id.in_(ids))
    return [_item(row) for row in (await tx.execute(query)).mappings()] if ids else []


async def ratings(tx: Transaction, review: str) -> dict[str, list[Rating]]:
    """Ratings by item."""
    query = select(tables.ratings).where(tables.ratings.c.review == review).order_by(tables.ratings.c.reviewer)
    by_item: dict[str, list[Rating]] = {}
    for row in (await tx.execute(query)).mappings():
        by_item.setdefault(row["item"], []).append(_rating(row))
    return by_item


async def ratings_of_item(tx: Transaction, review: str, item_id: str) -> list[Rating]:
    """Ratings of one item."""
    c = tables.ratings.c
    query = select(tables.ratings).where(c.review == review, c.item == item_id).order_by(c.reviewer)
    return [_rating(row) for row in (await tx.execute(query)).mappings()]


async def ratings_version(tx: Transaction, review: str) -> tuple[int, datetime | None]:
    """What changes with every rating that comes or is replaced: how many there are, and when the last was given."""
    c = tables.ratings.c
    query = select(func.count().label("number"), func.max(c.at).label("last")).where(c.review == review)
    row = (await tx.execute(query)).one()
    return row.number, row.last


async def counts(tx: Transaction, review: str) -> tuple[int, int]:
    """How many items a review has, and how many ratings."""
    of_items = select(func.count()).where(tables.items.c.review == review)
    of_ratings = select(func.count()).where(tables.ratings.c.review == review)
    return (await tx.execute(of_items)).scalar_one(), (await tx.execute(of_ratings)).scalar_one()


async def done_for(tx: Transaction, review: str, reviewer: str, reviewers: int) -> frozenset[str]:
    """Items that no longer wait for this reviewer: rated by them, or by enough others."""
    c = tables.ratings.c
    mine = func.sum(case((c.reviewer == reviewer, 1), else_=0))
    query = select(c.item).where(c.review == review).group_by(c.item)
    rows = await tx.execute(query.having((mine > 0) | (func.count() >= reviewers)))
    return frozenset(row.item for row in rows)


async def rating(tx: Transaction, review: str, rating: Rating) -> Rating | None:
    """The stored rating that says the same as `given`, if there is one."""
    c = tables.ratings.c
    mine = (c.review == review, c.item == rating.item, c.reviewer == rating.reviewer)
    row = (await tx.execute(select(tables.ratings).where(*mine))).mappings().first()
    stored = _rating(row) if row is not None else None
    return stored if stored is not None and replace(stored, at=rating.at) == rating else None


async def rate(tx: Transaction, review: str, rating: Rating) -> None:
    """Store a rating; a later one by the same reviewer replaces the first."""
    c = tables.ratings.c
    mine = (c.review == review, c.item == rating.item, c.reviewer == rating.reviewer)
    values = vars(rating) | {"judgement": rating.judgement.value}
    changed = await tx.execute(update(tables.ratings).where(*mine).values(**values))
    if changed.rowcount == 0:
        await tx.execute(insert(tables.ratings).values(review=review, **values))


async def settle(tx: Transaction, review: str, at: datetime | None) -> None:
    """Note since when everything is rated; None while something lacks."""
    await tx.execute(update(tables.reviews).where(tables.reviews.c.name == review).values(settled=at))


async def settled_before(tx: Transaction, at: datetime) -> list[str]:
    """Names of open reviews that have been settled, unchanged, since before a time."""
    c = tables.reviews.c
    query = select(c.name).where(c.state == ReviewState.OPEN.value, c.settled < at)
    return [row.name for row in await tx.execute(query)]


async def confirm(tx: Transaction, review: str, reviewer: str, at: datetime) -> None:
    """Note that a reviewer's ratings are final."""
    await tx.execute(insert(tables.confirmations).values(review=review, reviewer=reviewer, at=at))


async def confirmed(tx: Transaction, review: str) -> frozenset[str]:
    """The reviewers whose ratings are final."""
    c = tables.confirmations.c
    return frozenset(row.reviewer for row in await tx.execute(select(c.reviewer).where(c.review == review)))


async def move(tx: Transaction, review: str, state: ReviewState, **values: Any) -> None:
    """Change a review's state, and what else changes with it."""
    await tx.execute(update(tables.reviews).where(tables.reviews.c.name == review).values(state=state.value, **values))


async def _same(tx: Transaction, review: Review, request_id: str) -> Review | None:
    c = tables.reviews.c
    by_name = c.name == review.name
    by_request = (c.namespace == review.namespace) & (c.request_id == request_id)
    query = select(tables.reviews).where(by_name | by_request if request_id else by_name)
    row = (await tx.execute(query)).mappings().first()
    if row is None:
        return None
    stored = _review(row)
    same = (review.subject, review.policy, review.seed, review.task)
    if (stored.subject, stored.policy, stored.seed, stored.task) != same:
        raise AlreadyExists(f"{stored.name} is a review of something else, or under another policy; choose another id")
    return stored


def _columns(review: Review) -> dict[str, Any]:
    values = {name: value for name, value in vars(review).items() if name != "policy"}
    strata = [vars(one) | {"kinds": list(one.kinds)} for one in review.strata] or null()
    return values | vars(review.policy) | {"state": review.state.value, "task": review.task.value, "strata": strata}


def _review(row: RowMapping) -> Review:
    policy = Policy(**{name: row[name] for name in _POLICY})
    own = ("policy", "state", "task", "strata")
    rest = {name: row[name] for name in Review.__dataclass_fields__ if name not in own}
    strata = tuple(Stratum(**one | {"kinds": tuple(one["kinds"])}) for one in row["strata"] or ())
    return Review(policy=policy, state=ReviewState(row["state"]), task=Task(row["task"]), strata=strata, **rest)


def _item(row: RowMapping) -> Item:
    return Item(**{name: row[name] for name in Item.__dataclass_fields__})


def _rating(row: Mapping[str, Any] | RowMapping) -> Rating:
    rest = {name: row[name] for name in Rating.__dataclass_fields__ if name != "judgement"}
    return Rating(judgement=Judgement(row["judgement"]), **rest)
