"""Experts' corrections become a new version; its review draws from what changed, and its bound covers all."""

import json
from typing import Any

import pytest
from support.curation_world import PARENT, World

from posology.core import schema
from posology.core.errors import FailedPrecondition, InvalidInput
from posology.curation.review.domain import UNSTATED
from posology.v1alpha1 import curation_pb2 as pb

Corrections = list[dict[str, Any]]


async def reviewed(
    world: World, subject: str, name: str, *, wrong: int, words: bool = True, **policy: Any
) -> pb.Review:
    """A closed review in which the first `wrong` items are wrong and, with `words`, corrected."""
    review = await world.open_review(name, subject, **policy)
    while True:
        asked = pb.NextReviewItemRequest(name=review.name, reviewer="ann")
        item = (await world.curation.NextReviewItem(asked)).item
        if not item.item_id:
            break
        rating = pb.ReviewRating(item_id=item.item_id, reviewer="ann", reviewer_kind="expert")
        rating.judgement = pb.ReviewRating.MAJOR_ERROR if wrong > 0 else pb.ReviewRating.CORRECT
        rating.correction = f"Ask your pharmacist, number {wrong}." if wrong > 0 and words else ""
        wrong -= 1
        await world.curation.SubmitReviewItem(pb.SubmitReviewItemRequest(name=review.name, rating=rating))
    await world.confirm(review.name)
    return await world.closed(review.name)


async def lines_of(world: World, review: str) -> Corrections:
    answer = await world.curation.ListReviewCorrections(pb.ListReviewCorrectionsRequest(name=review))
    return [
        {"pair": one.pair, "answer": one.corrections[0]} if one.corrections else {"pair": one.pair, "drop": True}
        for one in answer.corrections
    ]


async def version_of(world: World, base: str, name: str, corrections: Corrections) -> pb.Dataset:
    file = world.root / "sources" / f"{name}.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in corrections))
    curation = {
        "sources": [{"uri": f"file://{world.root}/sources", "format": "SPL"}],
        "corrections": f"file://{file}",
    }
    spec = schema.parse(pb.DatasetSpec, {"curation": curation, "base": base})
    request = pb.CreateDatasetRequest(parent=PARENT, dataset_id=name, spec=spec, request_id=name)
    return await world.finished((await world.curation.CreateDataset(request)).name)


async def test_corrections_of_a_review_become_a_version_whose_bound_covers_what_changed_and_what_did_not(
    world: World,
) -> None:
    base = (await world.made("first")).status.artifact
    first = await reviewed(world, base, "first", wrong=3, sample=50, maxErrorRate=0.1)
    assert first.state == pb.Review.FAILED
    corrections = await lines_of(world, first.name)
    assert len(corrections) == 3

    version = await version_of(world, base, "second", corrections)
    assert version.status.error.message == ""
    manifest = world.store.manifest(version.status.artifact)
    assert (manifest.kind, tuple(manifest.parents)) == ("dataset", (base,))
    files = ("train.jsonl", "validation.jsonl")
    rows = [row for name in files for row in world.lines(version.status.artifact, name)]
    assert sum("corrected" in row["tags"] for row in rows) == 3
    assert len(rows) == 60

    review = await world.open_review("second", version.status.artifact, sample=50, maxErrorRate=0.1)
    assert review.summary.planned == 3  # no expert reads again what stayed
    kept, changed = review.summary.strata
    assert (kept.name, kept.size, kept.rated, kept.errors, kept.mended) == ("kept", 57, 50, 3, 3)
    assert kept.review == first.name
    assert (changed.name, changed.size, changed.planned) == ("changed", 3, 3)
    await world.rate_all(review.name, "ben")
    closed = await world.closed(review.name)
    assert closed.state == pb.Review.PASSED
    assert 0 < closed.summary.upper_bound < 0.1
    predicate = payload(closed)
    assert (predicate["planned"], predicate["rated"], predicate["errors"]) == (53, 53, 3)
    assert predicate["reviewer_kinds"] == ["expert"]
    assert [one["name"] for one in predicate["strata"]] == ["kept", "changed"]
    assert "hypergeometric" in predicate["method"]


async def test_a_wrong_correction_counts_and_what_the_first_sample_left_unread_is_not_forgotten(world: World) -> None:
    base = await world.draft()
    first = await reviewed(world, base, "first", wrong=2, sample=40, maxErrorRate=0.25)
    version = (await version_of(world, base, "v2", await lines_of(world, first.name))).status.artifact
    right = await world.open_review("right", version, sample=40, maxErrorRate=0.25)
    await world.rate_all(right.name)
    await world.closed(right.name)  # it passed, so the next is no later try
    wrong = await world.open_review("wrong", version, sample=40, maxErrorRate=0.25)
    await world.rate_all(wrong.name, wrong=2)
    bounds = [(await world.closed(one.name)).summary.upper_bound for one in (right, wrong)]
    assert bounds[1] - bounds[0] == pytest.approx(2 / 60)
    assert bounds[0] > 0.0


async def test_what_proves_too_little_is_sampled_anew_beside_what_changed(world: World) -> None:
    base = await world.draft()
    first = await reviewed(world, base, "first", wrong=8, words=False, sample=20, maxErrorRate=0.2)
    assert first.state == pb.Review.FAILED
    corrections = await lines_of(world, first.name)
    assert all(one["drop"] for one in corrections)
    rows = {row["id"]: row for row in world.lines(base, "train.jsonl")}
    changed = [id for id in sorted(rows) if id not in {one["pair"] for one in corrections}][:5]
    corrections += [{"pair": id, "answer": f"Another answer, {id}."} for id in changed]
    version = (await version_of(world, base, "v2", corrections)).status.artifact
    review = await world.open_review("second", version, sample=20, maxErrorRate=0.2)
    kept, new = review.summary.strata
    assert (kept.size, kept.planned, kept.review) == (47, 20, "")
    assert (new.size, new.planned) == (5, 5)
    assert review.summary.planned == 25


async def test_two_reviewers_are_not_replaced_by_one_of_before(world: World) -> None:
    base = await world.draft()
    first = await reviewed(world, base, "first", wrong=1, sample=40, maxErrorRate=0.25)
    version = (await version_of(world, base, "v2", await lines_of(world, first.name))).status.artifact
    review = await world.open_review("second", version, sample=40, maxErrorRate=0.25, reviewers=2)
    assert review.summary.strata[0].planned == 40


async def test_a_version_of_a_set_that_nobody_reviewed_is_reviewed_as_any(world: World) -> None:
    base = await world.draft()
    id = world.lines(base, "train.jsonl")[0]["id"]
    version = (await version_of(world, base, "v2", [{"pair": id, "answer": "Another answer."}])).status.artifact
    review = await world.open_review("only", version, sample=20, maxErrorRate=0.25)
    assert (review.summary.planned, list(review.summary.strata)) == (20, [])


async def test_dropping_alone_leaves_nothing_new_to_read_so_the_sample_is_of_all(world: World) -> None:
    base = await world.draft()
    first = await reviewed(world, base, "first", wrong=1, words=False, sample=30, maxErrorRate=0.25)
    version = (await version_of(world, base, "v2", await lines_of(world, first.name))).status.artifact
    review = await world.open_review("second", version, sample=30, maxErrorRate=0.25)
    assert (review.summary.planned, list(review.summary.strata)) == (30, [])


async def test_corrections_are_told_once_the_review_is_closed_and_a_right_item_has_none(world: World) -> None:
    review = await world.open_review("open", await world.draft())
    with pytest.raises(FailedPrecondition, match="is open"):
        await world.curation.ListReviewCorrections(pb.ListReviewCorrectionsRequest(name=review.name))
    asked = pb.NextReviewItemRequest(name=review.name, reviewer="ann")
    item = (await world.curation.NextReviewItem(asked)).item
    rating = pb.ReviewRating(
        item_id=item.item_id, reviewer="ann", judgement=pb.ReviewRating.CORRECT, correction="Something else."
    )
    with pytest.raises(InvalidInput, match=r"rating\.correction"):
        await world.curation.SubmitReviewItem(pb.SubmitReviewItemRequest(name=review.name, rating=rating))


async def test_corrections_of_other_rows_and_a_version_without_any_are_refused(world: World) -> None:
    base = await world.draft()
    failed = await version_of(world, base, "unknown", [{"pair": "p-0000", "answer": "x"}])
    assert "p-0000" in failed.status.error.message
    spec = schema.parse(
        pb.DatasetSpec, {"curation": {"sources": [{"uri": "file:///x", "format": "SPL"}]}, "base": base}
    )
    with pytest.raises(InvalidInput, match="needs corrections"):
        await world.curation.CreateDataset(pb.CreateDatasetRequest(parent=PARENT, dataset_id="none", spec=spec))


async def test_corrections_travel_in_a_spreadsheet(world: World) -> None:
    review = await world.open_review("sheet", await world.draft(), sample=20)
    asked = pb.NextReviewItemRequest(name=review.name, reviewer="ann")
    item = (await world.curation.NextReviewItem(asked)).item
    text = f'item_id,judgement,correction\n{item.item_id},MAJOR_ERROR,"-5 C, never 5 C"\n'
    await world.curation.ImportReviewRatings(pb.ImportReviewRatingsRequest(name=review.name, reviewer="ann", csv=text))
    exported = await world.curation.ExportReviewItems(pb.ExportReviewItemsRequest(name=review.name, reviewer="ann"))
    assert "'-5 C, never 5 C" in exported.csv  # inert in a spreadsheet
    await world.curation.ImportReviewRatings(
        pb.ImportReviewRatingsRequest(name=review.name, reviewer="ann", csv=exported.csv)
    )
    await world.rate_all(review.name, kind=UNSTATED)
    await world.closed(review.name)
    assert (await lines_of(world, review.name))[0]["answer"] == "-5 C, never 5 C"


def payload(review: pb.Review) -> dict[str, Any]:
    import base64

    decoded: dict[str, Any] = json.loads(base64.b64decode(json.loads(review.statement)["payload"]))
    predicate: dict[str, Any] = decoded["predicate"]
    return predicate
