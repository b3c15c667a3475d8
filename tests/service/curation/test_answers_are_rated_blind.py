"""Answers of a model, rated as data sets are: two people, blind, some items twice, a third who decides."""

import json
from pathlib import Path

import pytest
from support.curation_world import PARENT, World

from posology.core import schema, signing
from posology.core.attestations.review import ReviewPredicate
from posology.v1alpha1 import curation_pb2 as pb


def answers(world: World, folder: Path, count: int = 50) -> str:
    """An evaluation's artifact with answers that people shall rate."""
    folder.mkdir()
    rows = [
        {
            "id": f"human-{i}",
            "section": "",
            "drug": "",
            "tags": [],
            "prompt": [{"role": "user", "content": f"Question {i}?"}],
            "completion": [{"role": "assistant", "content": f"Answer {i}."}],
        }
        for i in range(count)
    ]
    (folder / "human.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "items.jsonl").write_text("")
    return world.store.publish(folder, kind="evaluation", producer="test")


async def opened(world: World, name: str, subject: str, **policy: object) -> pb.Review:
    stated = {"sample": 50, "maxErrorRate": 0.15, "reviewers": 2, "repeats": 10, **policy}
    request = pb.CreateReviewRequest(
        parent=PARENT, review_id=name, subject=subject, policy=schema.parse(pb.Review.Policy, stated), seed=3
    )
    return await world.curation.CreateReview(request)


async def test_repeats_are_rated_like_others_and_count_for_self_agreement_alone(world: World, tmp_path: Path) -> None:
    review = await opened(world, "answers", answers(world, tmp_path / "answers"))
    assert review.summary.planned == 50
    for reviewer in ("ann", "bob"):
        await world.rate_all(review.name, reviewer, wrong=0)
    closed = await world.closed(review.name)
    assert closed.state == pb.Review.PASSED
    assert (closed.summary.rated, closed.summary.errors) == (50, 0)
    assert (closed.summary.repeated, closed.summary.self_agreement) == (20, 1.0)
    manifest = world.store.manifest(closed.artifact)
    assert (manifest.kind, [file.path for file in manifest.files]) == ("review", ["review.json"])
    with world.store.open(closed.artifact, "review.json") as stream:
        record = json.load(stream)
    assert sum(item.get("repeat", False) for item in record["items"]) == 10
    key = signing.PublicKey.load(world.root / "data" / "keys" / "curation.pub")
    said = ReviewPredicate.from_json(signing.verify(json.loads(closed.statement), [key])["predicate"])
    assert (said.rated, said.errors, said.numbers["repeated"]) == (50, 0, 20)


async def test_a_reviewer_does_not_see_which_items_come_again(world: World, tmp_path: Path) -> None:
    review = await opened(
        world, "blind", answers(world, tmp_path / "answers", 8), sample=8, maxErrorRate=0.5, repeats=4
    )
    item = (await world.curation.NextReviewItem(pb.NextReviewItemRequest(name=review.name, reviewer="ann"))).item
    assert not {field.name for field, _ in item.ListFields()} & {"repeat_of", "pair"}


@pytest.mark.parametrize("repeats", [0, 3])
async def test_a_review_is_not_closed_before_its_repeats_are_rated(world: World, tmp_path: Path, repeats: int) -> None:
    subject = answers(world, tmp_path / "answers", 20)
    review = await opened(world, "open", subject, sample=20, reviewers=1, maxErrorRate=0.2, repeats=repeats)
    left = (
        await world.curation.NextReviewItem(pb.NextReviewItemRequest(name=review.name, reviewer="ann"))
    ).item.remaining
    assert left == 20 + repeats
