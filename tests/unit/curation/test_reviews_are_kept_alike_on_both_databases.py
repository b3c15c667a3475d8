"""Reviews in SQLite and PostgreSQL: stored once, rated by replacement, listed in pages, chained in the audit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from posology.core import audit
from posology.core.artifacts import ArtifactStore
from posology.core.errors import AlreadyExists, FailedPrecondition, NotFound
from posology.core.registrar import Registrar
from posology.core.signing import Signer
from posology.core.store import Database
from posology.curation.review import repository
from posology.curation.review.domain import (
    CHANGED,
    KEPT,
    Item,
    Judgement,
    Policy,
    Rating,
    Review,
    ReviewState,
    Stratum,
)
from posology.curation.review.service import Reviews

AT = datetime(2026, 1, 1, tzinfo=UTC)
REVIEW = Review(
    name="namespaces/a/reviews/one",
    namespace="a",
    subject="sha256:" + "0" * 64,
    kind="dataset",
    policy=Policy(2, 0.0, 0.9, 0.95, 1),
    seed=3,
    frame_size=2,
    frame_digest="f" * 64,
    planned=2,
    state=ReviewState.OPEN,
    creator="me",
    created=AT,
)
ITEMS = [Item(f"i{n}", n, f"p{n}", "Q?", "A.", "", "A.", "Text.", "Title", "drug") for n in range(2)]


class NoCatalog(Registrar):
    """No catalog is needed where nothing is published."""

    def __init__(self) -> None:
        self.registered: list[str] = []

    async def register(self, namespace: str, digest: str) -> None:
        self.registered.append(digest)


@pytest.fixture
async def reviews(database: Database, tmp_path: Path) -> Reviews:
    await database.migrate("posology.core.audit", "posology.curation")
    async with database.begin() as tx:
        await repository.create(tx, REVIEW, ITEMS, request_id="r1")
    store = ArtifactStore(f"file://{tmp_path}/artifacts")
    return Reviews(database, store, Signer.load_or_create(tmp_path / "curation.key"), NoCatalog())


def rating(item: str, judgement: Judgement, reviewer: str = "ann") -> Rating:
    return Rating(item, reviewer, "expert", judgement, "", AT)


async def test_a_repeated_request_finds_its_review_and_another_under_that_name_is_refused(
    reviews: Reviews, database: Database
) -> None:
    async with database.begin() as tx:
        assert (await repository.create(tx, REVIEW, ITEMS, request_id="r1")).name == REVIEW.name
        with pytest.raises(AlreadyExists):
            await repository.create(tx, replace(REVIEW, seed=4), ITEMS, request_id="r2")
        with pytest.raises(NotFound):
            await repository.get(tx, "namespaces/a/reviews/none")


async def test_strata_and_corrections_are_kept_and_the_newest_closed_review_of_a_set_is_found(
    reviews: Reviews, database: Database
) -> None:
    subject = REVIEW.subject
    strata = (Stratum(KEPT, 57, 0, REVIEW.name, 60, 50, 3, 3, ("expert",)), Stratum(CHANGED, 3, 3))
    version = replace(REVIEW, name="namespaces/a/reviews/two", subject="sha256:" + "1" * 64, strata=strata)
    items = [replace(item, stratum=CHANGED) for item in ITEMS]
    async with database.begin() as tx:
        assert await repository.closed_about(tx, "a", [subject]) is None  # it is open
        await repository.move(tx, REVIEW.name, ReviewState.FAILED, ended=AT)
        await repository.create(tx, version, items, request_id="r2")
        await repository.move(tx, version.name, ReviewState.PASSED, ended=AT + timedelta(days=1))
        await repository.rate(tx, version.name, replace(rating("i0", Judgement.HARMFUL), correction="5 mg."))
    async with database.read() as tx:
        assert (await repository.get(tx, version.name)).strata == strata
        assert (await repository.get(tx, REVIEW.name)).strata == ()
        assert await repository.strata(tx, version.name) == {"i0": CHANGED, "i1": CHANGED}
        assert (await repository.ratings(tx, version.name))["i0"][0].correction == "5 mg."
        closed = await repository.closed_about(tx, "a", [subject, version.subject])
        assert closed is not None
        assert closed.name == REVIEW.name  # a version's review stands for no further version
        assert await repository.closed_about(tx, "b", [subject]) is None


async def test_a_later_rating_replaces_the_first_until_the_reviewer_confirms(
    reviews: Reviews, database: Database
) -> None:
    await reviews.submit(REVIEW.name, rating("i0", Judgement.HARMFUL))
    await reviews.submit(REVIEW.name, rating("i0", Judgement.CORRECT))
    _, summary = await reviews.get(REVIEW.name)
    assert (summary.rated, summary.errors, summary.upper_bound) == (1, 0, None)
    await reviews.submit(REVIEW.name, rating("i1", Judgement.MINOR_ERROR))
    await reviews.submit(REVIEW.name, rating("i1", Judgement.MINOR_ERROR))  # its answer got lost, so it is sent again
    await reviews.submit(REVIEW.name, rating("i1", Judgement.HARMFUL))
    await reviews.submit(REVIEW.name, rating("i1", Judgement.MINOR_ERROR))
    await reviews.confirm(REVIEW.name, "ann")
    with pytest.raises(FailedPrecondition, match="closing"):
        await reviews.submit(REVIEW.name, rating("i1", Judgement.CORRECT))
    await reviews.close(REVIEW.name)
    review, summary = await reviews.get(REVIEW.name)
    assert (review.state, summary.errors) == (ReviewState.FAILED, 1)
    async with database.read() as tx:
        entries = [entry async for entry in audit.entries(tx)]
        actions = [entry.action for entry in entries]
        audit.verify_chain(entries)
    assert actions == [*["review.rate"] * 5, "review.confirm", "review.close"]


async def test_a_settled_review_closes_by_itself_after_the_time_of_grace(reviews: Reviews) -> None:
    reviews._grace = timedelta(hours=1)
    for item in ("i0", "i1"):
        await reviews.submit(REVIEW.name, rating(item, Judgement.MINOR_ERROR))
    await reviews._close_settled()
    assert (await reviews.get(REVIEW.name))[0].state is ReviewState.OPEN
    reviews._grace = timedelta(seconds=-1)
    await reviews._close_settled()
    assert (await reviews.get(REVIEW.name))[0].state is ReviewState.CLOSING


async def test_closing_twice_changes_nothing(reviews: Reviews) -> None:
    for item in ("i0", "i1"):
        await reviews.submit(REVIEW.name, rating(item, Judgement.MAJOR_ERROR))
    await reviews.close(REVIEW.name)
    first, _ = await reviews.get(REVIEW.name)
    await reviews.close(REVIEW.name)
    assert (await reviews.get(REVIEW.name))[0] == first


async def test_reviews_are_listed_in_pages_newest_first(reviews: Reviews, database: Database) -> None:
    async with database.begin() as tx:
        for number in range(5):
            other = replace(
                REVIEW, name=f"namespaces/b/reviews/r{number}", namespace="b", created=AT + timedelta(number)
            )
            await repository.create(tx, other, ITEMS, request_id=f"b{number}")
    found, token = await reviews.list_page("b", size=3, token="", ended_after=None)
    rest, end = await reviews.list_page("b", size=3, token=token, ended_after=None)
    assert [review.name[-2:] for review, _ in [*found, *rest]] == ["r4", "r3", "r2", "r1", "r0"]
    assert end == ""
    everything, _ = await reviews.list_page(repository.ALL, size=10, token="", ended_after=None)
    assert len(everything) == 6
