"""Attacks on a data set's review by whoever may ask for another: until one passes, or for a sample that he knows."""

from typing import Any

import pytest
from support.curation_world import PARENT, World

from posology.client import envelopes
from posology.core import schema
from posology.core.attestations.review import ReviewPredicate
from posology.core.errors import InvalidInput
from posology.curation.review.domain import Policy
from posology.curation.review.subject import draw_items
from posology.v1alpha1 import catalog_pb2
from posology.v1alpha1 import curation_pb2 as pb

FIRST = {"sample": 25, "maxErrorRate": 0.2}


async def opened(world: World, name: str, subject: str, *, seed: int = 0, namespace: str = "", **policy: Any) -> Any:
    asked = schema.parse(pb.Review.Policy, FIRST | policy)
    parent = f"namespaces/{namespace}" if namespace else PARENT
    return await world.curation.CreateReview(
        pb.CreateReviewRequest(parent=parent, review_id=name, subject=subject, policy=asked, request_id=name, seed=seed)
    )


async def failed(world: World, name: str, subject: str, **more: Any) -> Any:
    review = await opened(world, name, subject, **more)
    await world.rate_all(review.name, wrong=9)
    closed = await world.closed(review.name)
    assert closed.state == pb.Review.FAILED
    return closed


def padded(world: World, digest: str, name: str, *, without: int = 0) -> str:
    """The same rows, or nearly, under another digest."""
    folder = world.store.materialize(digest, world.root / f"{name}-from")
    made = world.root / name
    made.mkdir()
    for file in folder.iterdir():
        lines = file.read_bytes().splitlines(keepends=True)
        (made / file.name).write_bytes(b"".join(lines[without:] if file.name == "train.jsonl" else lines))
    (made / "note.txt").write_text(name)
    return world.store.publish(made, kind="dataset", producer="test/0")


async def test_another_seed_is_another_try_and_dearer(world: World) -> None:
    subject = await world.draft()
    first = await failed(world, "one", subject)
    again = await opened(world, "two", subject, seed=1)
    assert (first.attempt.number, again.attempt.number) == (1, 2)
    assert (first.attempt.confidence, again.attempt.confidence) == (0.95, 0.975)
    assert again.summary.allowed_errors < 25
    await world.rate_all(again.name, wrong=0)
    closed = await world.closed(again.name)
    assert closed.summary.upper_bound == pytest.approx(1 - 0.025 ** (1 / 25))
    assert predicate(closed).attempt.number == 2  # type: ignore[union-attr]


async def test_a_review_that_was_called_off_half_way_counts(world: World) -> None:
    subject = await world.draft()
    review = await opened(world, "one", subject)
    item = (await world.curation.NextReviewItem(pb.NextReviewItemRequest(name=review.name, reviewer="ann"))).item
    await world.rate(review.name, item.item_id, "ann", "MAJOR_ERROR")
    await world.curation.CancelReview(pb.CancelReviewRequest(name=review.name))
    assert (await opened(world, "two", subject)).attempt.number == 2


async def test_one_that_nobody_rated_can_be_opened_again_with_the_same_items(world: World) -> None:
    subject = await world.draft()
    before = await items(world, (await opened(world, "one", subject)).name)
    await world.curation.CancelReview(pb.CancelReviewRequest(name=f"{PARENT}/reviews/one"))
    again = await opened(world, "two", subject)
    assert again.attempt.number == 1
    assert await items(world, again.name) == before
    await world.curation.CancelReview(pb.CancelReviewRequest(name=again.name))
    assert (await opened(world, "three", subject, seed=1)).attempt.number == 3  # he looked, and wants others


async def test_reviews_that_are_opened_together_are_tries_of_one_another(world: World) -> None:
    subject = await world.draft()
    numbers = [(await opened(world, f"r{n}", subject, seed=n)).attempt.number for n in range(3)]
    assert numbers == [1, 2, 3]


@pytest.mark.parametrize("without", [0, 3])
async def test_nearly_the_same_set_under_another_digest_is_the_same(world: World, without: int) -> None:
    subject = await world.draft()
    await failed(world, "one", subject)
    assert (await opened(world, "two", padded(world, subject, "other", without=without))).attempt.number == 2


async def test_another_namespace_is_no_way_round(world: World) -> None:
    subject = await world.draft()
    await failed(world, "one", subject)
    other = padded(world, subject, "copy")
    artifact = catalog_pb2.Artifact(digest=other)
    await world.catalog.CreateArtifact(
        catalog_pb2.CreateArtifactRequest(parent="namespaces/elsewhere", artifact=artifact)
    )
    review = await opened(world, "two", other, namespace="elsewhere")
    assert review.attempt.number == 2


async def test_a_loose_limit_or_a_weak_bound_is_no_rehearsal(world: World) -> None:
    subject = await world.draft()
    easier: dict[str, dict[str, Any]] = {"loose": {"maxErrorRate": 0.9}, "weak": {"confidence": 0.6}}
    for name, policy in easier.items():
        review = await opened(world, name, subject, seed=len(name), **policy)
        await world.rate_all(review.name, wrong=1)
        assert (await world.closed(review.name)).state == pb.Review.PASSED
    assert (await opened(world, "real", subject, seed=9)).attempt.number == 3


async def test_what_passed_as_is_asked_now_is_no_try_in_vain(world: World) -> None:
    subject = await world.draft()
    first = await opened(world, "one", subject)
    await world.rate_all(first.name)
    closed = await world.closed(first.name)
    assert (await opened(world, "two", closed.artifact)).attempt.number == 1


async def test_no_seed_tells_beforehand_which_rows_are_drawn(world: World) -> None:
    subject = await world.draft()
    review = await opened(world, "one", subject, seed=7)
    known = draw_items(world.store, subject, Policy(25, 0, 0.2, 0.95, 1), seed=7)
    assert await items(world, review.name) != [item.question for item in known.items]


async def test_a_sample_that_proves_nothing_at_a_later_try_is_refused_with_the_number_that_does(world: World) -> None:
    subject = await world.draft()
    await failed(world, "one", subject, sample=15)
    with pytest.raises(InvalidInput, match=r"try 2.*review 17 or more"):
        await opened(world, "two", subject, sample=15)


async def items(world: World, review: str) -> list[str]:
    request = pb.ExportReviewItemsRequest(name=review, reviewer="ann")
    return sorted((await world.curation.ExportReviewItems(request)).csv.splitlines())


def predicate(review: Any) -> ReviewPredicate:

    return ReviewPredicate.from_json(envelopes.payload(review.statement)["predicate"])
