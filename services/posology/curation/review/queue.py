"""Which items wait for a reviewer, in an order of the reviewer's own; quick for a hundred thousand of them.

What never changes is kept in memory: an opened review's items, and each reviewer's order. What changes is asked of the
database in one question.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from posology.core.store import Transaction
from posology.curation.domain import draw
from posology.curation.review import repository
from posology.curation.review.domain import Item, Rating, Review, disputed

T = TypeVar("T")
_REVIEWS, _ORDERS = 16, 64


@dataclass(frozen=True)
class Waiting:
    """What a reviewer gets next, and how many are left for them."""

    items: tuple[Item, ...]
    remaining: int
    ratings: Mapping[str, Sequence[Rating]]
    """Of items that are to be adjudicated: what was said of them."""


class Queue:
    """The queues of all reviews."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, tuple[tuple[str, ...], frozenset[str]]] = OrderedDict()
        self._orders: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()

    async def next(
        self, tx: Transaction, review: Review, reviewer: str, *, adjudicate: bool, most: int, held: Collection[str]
    ) -> Waiting:
        """The first items that wait for this reviewer, but those `held`."""
        ids, repeats = await self._items(tx, review.name)
        ratings: Mapping[str, Sequence[Rating]] = {}
        if adjudicate:
            ratings = {
                item: said
                for item, said in (await repository.ratings(tx, review.name)).items()
                if item not in repeats and is_for(said, review, reviewer, adjudicate=True)
            }
            waiting = sorted(ratings, key=lambda id: draw(review.drawn_by, reviewer, id))
            remaining = len(waiting)
        else:
            done = await repository.done_for(tx, review.name, reviewer, review.policy.reviewers)
            order = await self._order(review, reviewer, ids)
            remaining = len(ids) - len(done)
            waiting = list(islice((id for id in order if id not in done), most + len(held)))
        chosen = list(islice((id for id in waiting if id not in held), most))
        items = {item.id: item for item in await repository.items_of(tx, review.name, chosen)}
        return Waiting(tuple(items[id] for id in chosen), remaining, ratings)

    async def _items(self, tx: Transaction, review: str) -> tuple[tuple[str, ...], frozenset[str]]:
        """Ids of a review's items, and of those that are another once more."""
        if review not in self._ids:
            listed = tuple(await repository.positions(tx, review)), frozenset(await repository.repeats(tx, review))
            _keep(self._ids, review, listed, most=_REVIEWS)
        return self._ids[review]

    async def _order(self, review: Review, reviewer: str, ids: Sequence[str]) -> tuple[str, ...]:
        key = (review.name, reviewer)
        if key not in self._orders:
            order = await asyncio.to_thread(sorted, ids, key=lambda id: draw(review.drawn_by, reviewer, id))
            _keep(self._orders, key, tuple(order), most=_ORDERS)
        return self._orders[key]


def is_for(ratings: Sequence[Rating], review: Review, reviewer: str, adjudicate: bool) -> bool:
    """Whether an item waits for this reviewer: not rated by them, nor by enough others; or in dispute among others."""
    if any(rating.reviewer == reviewer for rating in ratings):
        return False
    if adjudicate:
        return disputed(ratings, review.policy.reviewers)
    return len(ratings) < review.policy.reviewers


K = TypeVar("K")


def _keep(known: "OrderedDict[K, T]", key: K, value: T, *, most: int) -> None:
    known[key] = value
    while len(known) > most:
        known.popitem(last=False)
