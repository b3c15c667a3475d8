"""Answers to harmful and harmless prompts, labelled through the review RPCs: all of them, by labels alone."""

import json
from pathlib import Path

import pytest
from support.curation_world import PARENT, World

from posology.core import schema, signing
from posology.core.attestations.review import ReviewPredicate
from posology.core.errors import InvalidInput
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1.curation_pb2 import ReviewRating


def evaluation(world: World, folder: Path, count: int = 12) -> str:
    """An evaluation's artifact with answers to label, and others to rate."""
    folder.mkdir()

    def rows(prefix: str) -> str:
        return "".join(
            json.dumps(
                {
                    "id": f"{prefix}{i}",
                    "section": "",
                    "drug": "",
                    "tags": [],
                    "prompt": [{"role": "user", "content": f"{prefix} question {i}?"}],
                    "completion": [{"role": "assistant", "content": f"Answer {i}."}],
                }
            )
            + "\n"
            for i in range(count)
        )

    (folder / "refusals.jsonl").write_text(rows("label"))
    (folder / "human.jsonl").write_text(rows("rate"))
    return world.store.publish(folder, kind="evaluation", producer="test")


async def opened(world: World, name: str, subject: str, **policy: object) -> pb.Review:
    request = pb.CreateReviewRequest(
        parent=PARENT,
        review_id=name,
        subject=subject,
        policy=schema.parse(pb.Review.Policy, policy),
        seed=3,
        task=pb.Review.LABEL_REFUSALS,
    )
    return await world.curation.CreateReview(request)


async def label_all(world: World, review: str, reviewer: str, *, flip: int = 0) -> list[str]:
    """Label every item that waits for this reviewer; the first `flip` items by question otherwise than the others."""
    shown = []
    while True:
        request = pb.NextReviewItemRequest(name=review, reviewer=reviewer)
        item = (await world.curation.NextReviewItem(request)).item
        if not item.item_id:
            break
        number = int(item.question.split()[-1].rstrip("?"))
        judgement = ReviewRating.PARTIAL_REFUSAL if number < flip else ReviewRating.FULL_REFUSAL
        shown.append(item.question)
        await submit(world, review, item.item_id, reviewer, judgement)
    await world.curation.ConfirmReview(pb.ConfirmReviewRequest(name=review, reviewer=reviewer))
    return shown


async def submit(
    world: World, review: str, item: str, reviewer: str, judgement: ReviewRating.Judgement.ValueType
) -> None:
    rating = ReviewRating(item_id=item, reviewer=reviewer, reviewer_kind="pharmacist", judgement=judgement)
    await world.curation.SubmitReviewItem(pb.SubmitReviewItemRequest(name=review, rating=rating))


async def test_every_answer_is_labelled_and_the_labels_are_published_and_signed(world: World, tmp_path: Path) -> None:
    subject = evaluation(world, tmp_path / "e")
    review = await opened(world, "labels", subject, sample=3)  # a sample of a sample would say nothing of it
    assert (review.task, review.summary.planned) == (pb.Review.LABEL_REFUSALS, 12)
    shown = await label_all(world, review.name, "ann", flip=5)
    assert all(one.startswith("label question") for one in shown)
    closed = await world.closed(review.name)
    assert closed.state == pb.Review.PASSED
    assert (closed.summary.rated, closed.summary.errors, closed.summary.HasField("upper_bound")) == (12, 0, False)
    with world.store.open(closed.artifact, "review.json") as stream:
        record = json.load(stream)
    assert sum(one["ratings"][0]["judgement"] == "PARTIAL_REFUSAL" for one in record["items"]) == 5
    key = signing.PublicKey.load(world.root / "data" / "keys" / "curation.pub")
    signed = signing.verify(json.loads(closed.statement), [key])["predicate"]
    assert (signed["task"], signed["severities"]) == (
        "LABEL_REFUSALS", {"COMPLIANCE": 0, "PARTIAL_REFUSAL": 5, "FULL_REFUSAL": 7},
    )  # fmt: skip
    assert ReviewPredicate.from_json(signed).rated == 12


async def test_two_people_who_label_otherwise_are_adjudicated(world: World, tmp_path: Path) -> None:
    review = await opened(world, "two", evaluation(world, tmp_path / "e"), reviewers=2)
    await label_all(world, review.name, "ann", flip=0)
    await label_all(world, review.name, "bob", flip=2)
    now = await world.curation.GetReview(pb.GetReviewRequest(name=review.name))
    assert (now.state, now.summary.disagreements, now.summary.rated) == (pb.Review.OPEN, 2, 10)


@pytest.mark.parametrize("judgement", [ReviewRating.CORRECT, ReviewRating.HARMFUL])
async def test_a_label_is_no_rating_and_a_rating_is_no_label(
    world: World, tmp_path: Path, judgement: ReviewRating.Judgement.ValueType
) -> None:
    subject = evaluation(world, tmp_path / "e")
    labels = await opened(world, "labels", subject)
    request = pb.NextReviewItemRequest(name=labels.name, reviewer="ann")
    item = (await world.curation.NextReviewItem(request)).item.item_id
    with pytest.raises(InvalidInput, match="COMPLIANCE, PARTIAL_REFUSAL, FULL_REFUSAL"):
        await submit(world, labels.name, item, "ann", judgement)
    rates = await world.curation.CreateReview(
        pb.CreateReviewRequest(
            parent=PARENT,
            review_id="rates",
            subject=subject,
            policy=schema.parse(pb.Review.Policy, {"sample": 12, "maxErrorRate": 0.5}),
        )
    )
    item = (await world.curation.NextReviewItem(pb.NextReviewItemRequest(name=rates.name, reviewer="ann"))).item.item_id
    with pytest.raises(InvalidInput, match="CORRECT, MINOR_ERROR, MAJOR_ERROR, HARMFUL"):
        await submit(world, rates.name, item, "ann", ReviewRating.FULL_REFUSAL)


async def test_only_an_evaluation_that_drew_answers_can_be_labelled(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "items.jsonl").write_text("")
    bare = world.store.publish(folder, kind="evaluation", producer="test")
    with pytest.raises(InvalidInput, match="no gate of it is judged"):
        await opened(world, "bare", bare)
