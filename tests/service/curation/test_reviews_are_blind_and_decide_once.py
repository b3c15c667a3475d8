"""Reviews over gRPC: the sample, the blind queue, adjudication, the bound, and what is published at the end."""

import csv
import io
import json

import pytest
from support.curation_world import PARENT, World

from posology.core import signing
from posology.core.errors import FailedPrecondition, InvalidInput, PermissionDenied
from posology.core.rpc import client
from posology.curation.review.domain import STAND_IN, UNSTATED
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1 import curation_pb2_grpc
from posology.v1alpha1.job_pb2 import JobStatus


async def test_a_passed_review_publishes_the_data_set_without_the_rejected_pairs(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("passes", dataset, sample=30)
    assert review.state == pb.Review.OPEN
    assert not review.summary.HasField("upper_bound")
    await world.rate_all(review.name, wrong=2, kind=STAND_IN)
    closed = await world.closed(review.name)
    assert closed.state == pb.Review.PASSED
    assert closed.summary.errors == 2
    assert closed.summary.upper_bound == pytest.approx(0.195, abs=0.001)
    assert list(closed.summary.reviewer_kinds) == [STAND_IN]

    before = world.lines(dataset, "train.jsonl") + world.lines(dataset, "validation.jsonl")
    after = world.lines(closed.artifact, "train.jsonl") + world.lines(closed.artifact, "validation.jsonl")
    assert len(after) == len(before) - 2
    manifest = world.store.manifest(closed.artifact)
    assert (manifest.kind, tuple(manifest.parents)) == ("dataset", (dataset,))
    with world.store.open(closed.artifact, "review.json") as stream:
        record = json.load(stream)
    assert record["reviewer_kinds"] == [STAND_IN]
    assert record["frame"]["size"] == 60

    key = signing.PublicKey.load(world.root / "data" / "keys" / "curation.pub")
    said = signing.verify(json.loads(closed.statement), [key])
    assert said["predicate"]["result"] == "PASS"
    assert said["subject"][0]["digest"]["sha256"] == closed.artifact.removeprefix("sha256:")


async def test_a_failed_review_publishes_nothing_and_says_so_signed(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("fails", dataset)
    await world.rate_all(review.name, wrong=3)
    closed = await world.closed(review.name)
    assert closed.state == pb.Review.FAILED
    assert closed.artifact == ""
    payload = signing.verify(
        json.loads(closed.statement), [signing.PublicKey.load(world.root / "data" / "keys" / "curation.pub")]
    )
    assert payload["predicate"]["result"] == "FAIL"


async def test_a_sample_that_could_prove_nothing_is_refused_with_the_number_that_could(world: World) -> None:
    dataset = await world.draft()
    with pytest.raises(InvalidInput, match="review 149 or more") as refused:
        await world.open_review("hopeless", dataset, sample=50, maxErrorRate=0.02)
    assert refused.value.violations[0].field == "policy.sample"


async def test_two_reviewers_work_blind_and_a_third_decides_where_they_disagree(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("dual", dataset, sample=15, reviewers=2)
    await world.rate_all(review.name, "ann", wrong=1)
    await world.rate_all(review.name, "ben")
    halted = await world.curation.GetReview(pb.GetReviewRequest(name=review.name))
    assert halted.state == pb.Review.OPEN
    assert (halted.summary.rated, halted.summary.disagreements) == (14, 1)
    assert halted.summary.agreement.raw == pytest.approx(14 / 15)

    asked = pb.NextReviewItemRequest(name=review.name, reviewer="ann", adjudicate=True)
    assert not (await world.curation.NextReviewItem(asked)).HasField("item")
    asked.reviewer = "chair"
    item = (await world.curation.NextReviewItem(asked)).item
    with pytest.raises(FailedPrecondition, match="has not rated"):
        await adjudicate(world, review.name, item.item_id, "ann")
    await adjudicate(world, review.name, item.item_id, "chair")
    await world.confirm(review.name, "chair")
    assert (await world.closed(review.name)).state == pb.Review.PASSED


async def adjudicate(world: World, review: str, item: str, reviewer: str) -> None:
    rating = pb.ReviewRating(item_id=item, reviewer=reviewer, judgement=pb.ReviewRating.CORRECT)
    await world.curation.AdjudicateReviewItem(pb.SubmitReviewItemRequest(name=review, rating=rating))


async def test_reviewers_see_no_ratings_and_each_has_an_order_of_their_own(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("order", dataset, reviewers=2)
    first = [await first_item(world, review.name, reviewer) for reviewer in ("ann", "ben", "cai", "dia")]
    assert len({item.item_id for item in first}) > 1
    assert all(item.remaining == 20 and item.section_text and item.evidence for item in first)
    await world.rate(review.name, first[0].item_id, "ann", "MINOR_ERROR")
    changed = await world.rate(review.name, first[0].item_id, "ann", "CORRECT")
    assert changed.judgement == pb.ReviewRating.CORRECT
    assert (await first_item(world, review.name, "ann")).remaining == 19


async def first_item(world: World, review: str, reviewer: str) -> pb.ReviewItem:
    found = await world.curation.NextReviewItem(pb.NextReviewItemRequest(name=review, reviewer=reviewer))
    item: pb.ReviewItem = found.item
    return item


async def test_the_same_subject_and_seed_draw_the_same_sample(world: World) -> None:
    dataset = await world.draft()
    one = await world.open_review("one", dataset)
    drawn = await first_item(world, one.name, "ann")
    await world.curation.CancelReview(pb.CancelReviewRequest(name=one.name))  # unrated, so this is no second try
    other = await world.open_review("other", dataset)
    assert await first_item(world, other.name, "ann") == drawn


async def test_a_cancelled_review_takes_no_more_ratings(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("cancelled", dataset)
    item = await first_item(world, review.name, "ann")
    cancelled = await world.curation.CancelReview(pb.CancelReviewRequest(name=review.name))
    assert cancelled.state == pb.Review.CANCELLED
    with pytest.raises(FailedPrecondition, match="cancelled"):
        await world.rate(review.name, item.item_id, "ann", "CORRECT")


async def test_closed_reviews_of_all_namespaces_are_listed_from_a_time_on(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("listed", dataset)
    await world.rate_all(review.name)
    closed = await world.closed(review.name)
    everywhere = pb.ListReviewsRequest(parent="namespaces/-", ended_after=review.create_time)
    assert [r.name for r in (await world.curation.ListReviews(everywhere)).reviews] == [review.name]
    everywhere.ended_after.CopyFrom(closed.end_time)
    assert not (await world.curation.ListReviews(everywhere)).reviews


async def test_a_preference_set_is_reviewed_by_its_chosen_and_rejected_answers(world: World) -> None:
    dataset = await world.made("with-preferences")
    spec = pb.PreferenceSetSpec(dataset=dataset.status.artifact, preferences=pb.Preferences(pairs=20))
    made = await world.curation.CreatePreferenceSet(
        pb.CreatePreferenceSetRequest(parent=PARENT, preference_set_id="reviewed", spec=spec)
    )
    while made.status.state not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        made = await world.curation.GetPreferenceSet(pb.GetPreferenceSetRequest(name=made.name))
    review = await world.open_review("preferences", made.status.artifact)
    item = await first_item(world, review.name, "ann")
    assert item.rejected
    assert item.rejected != item.answer
    await world.rate_all(review.name, wrong=1)
    closed = await world.closed(review.name)
    assert len(world.lines(closed.artifact, "preferences.jsonl")) == 19


async def test_who_submitted_what_is_reviewed_does_not_review_it(world: World) -> None:
    """Tokens that name their holders tell people apart; the installation's own is its one user."""
    token_file = world.root / "data" / "token"
    token_file.write_text(f"{token_file.read_text()}\njane janes-token-of-this-test\n")
    review = await world.open_review("janes", await world.draft(), metadata=(("x-posology-user", "jane"),))
    asked = pb.NextReviewItemRequest(name=review.name, reviewer="jane")
    async with client.channel(world.address, token="janes-token-of-this-test") as channel:
        curation = curation_pb2_grpc.CurationStub(channel)
        with pytest.raises(PermissionDenied, match="jane submitted it, so somebody else must review"):
            await curation.NextReviewItem(asked)
        rating = pb.ReviewRating(item_id="x", reviewer="bob", judgement=pb.ReviewRating.CORRECT)
        for rate in (curation.SubmitReviewItem, curation.AdjudicateReviewItem):
            with pytest.raises(PermissionDenied, match="jane submitted it"):
                await rate(pb.SubmitReviewItemRequest(name=review.name, rating=rating))
    asked.reviewer = "bob"
    assert (await world.curation.NextReviewItem(asked)).HasField("item")
    asked.reviewer = ""
    with pytest.raises(InvalidInput, match="reviewer: say who this is"):
        await world.curation.NextReviewItem(asked)


async def test_the_last_rating_can_be_taken_back_until_the_reviewer_confirms(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("last", dataset, maxErrorRate=0.14)
    item = (await first_item(world, review.name, "ann")).item_id
    await world.rate_all(review.name, confirm=False)
    last = (await world.curation.GetReview(pb.GetReviewRequest(name=review.name))).summary
    assert last.rated == last.planned
    await world.rate(review.name, item, "ann", "HARMFUL")
    still = await world.curation.GetReview(pb.GetReviewRequest(name=review.name))
    assert (still.state, still.summary.errors) == (pb.Review.OPEN, 1)
    assert still.HasField("settle_time")
    await world.rate(review.name, item, "ann", "CORRECT")
    await world.confirm(review.name)
    with pytest.raises(FailedPrecondition, match=r"confirmed|closing|passed"):
        await world.rate(review.name, item, "ann", "HARMFUL")
    closed = await world.closed(review.name)
    assert (closed.state, closed.summary.errors) == (pb.Review.PASSED, 0)
    assert (await world.confirm(review.name)).state == pb.Review.PASSED


async def test_a_reviewer_confirms_only_what_is_rated_and_each_for_themselves(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("confirmations", dataset, reviewers=2)
    with pytest.raises(FailedPrecondition, match="ann has rated nothing"):
        await world.confirm(review.name)
    item = await first_item(world, review.name, "ann")
    await world.rate(review.name, item.item_id, "ann", "CORRECT")
    with pytest.raises(FailedPrecondition, match="19 items"):
        await world.confirm(review.name)
    await world.rate_all(review.name, "ann")
    await world.rate_all(review.name, "ben", confirm=False)
    assert (await world.confirm(review.name, "ann")).state == pb.Review.OPEN
    await world.confirm(review.name, "ben")
    assert (await world.closed(review.name)).state == pb.Review.PASSED


async def test_nobody_is_an_expert_by_default_and_the_statement_says_who_reviewed_as_what(world: World) -> None:
    dataset = await world.draft()
    review = await world.open_review("kinds", dataset, reviewers=2)
    await world.rate_all(review.name, "ann", kind="")
    await world.rate_all(review.name, "ben", kind="expert")
    closed = await world.closed(review.name)
    assert list(closed.summary.reviewer_kinds) == ["expert", UNSTATED]
    key = signing.PublicKey.load(world.root / "data" / "keys" / "curation.pub")
    predicate = signing.verify(json.loads(closed.statement), [key])["predicate"]
    assert predicate["reviewers"] == [
        {"reviewer": "ann", "kind": UNSTATED, "rated": 20, "adjudicated": 0},
        {"reviewer": "ben", "kind": "expert", "rated": 20, "adjudicated": 0},
    ]


async def test_a_review_goes_out_as_a_spreadsheet_and_comes_back_filled_in(world: World) -> None:
    review = await world.open_review("sheet", await world.draft(), reviewers=2)
    await world.rate_all(review.name, "ben", wrong=20, confirm=False)
    request = pb.ExportReviewItemsRequest(name=review.name, reviewer="ann")
    text = (await world.curation.ExportReviewItems(request)).csv
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline="")))
    assert len(rows) == 20
    assert "MAJOR_ERROR" not in text
    assert all(row["section_text"] and row["judgement"] == "" for row in rows)
    for row in rows:
        row["judgement"] = "minor error"
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    filled = pb.ImportReviewRatingsRequest(name=review.name, reviewer="ann", reviewer_kind="expert", csv=out.getvalue())
    assert (await world.curation.ImportReviewRatings(filled)).ratings == 20
    summary = (await world.curation.GetReview(pb.GetReviewRequest(name=review.name))).summary
    assert (summary.rated, summary.errors) == (20, 20)
    assert "MINOR_ERROR" in (await world.curation.ExportReviewItems(request)).csv


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("nope,CORRECT,", "row 2: 'nope' is no item"),
        ("{item},GREAT,", "row 2: 'GREAT' is not one of CORRECT"),
        ("{item},CORRECT,\n{item},HARMFUL,", "row 3: .* a second time"),
    ],
)
async def test_a_wrong_row_is_named_and_nothing_of_its_sheet_is_stored(world: World, rows: str, reason: str) -> None:
    review = await world.open_review("wrong-sheet", await world.draft())
    item = await first_item(world, review.name, "ann")
    text = "item_id,judgement,comment\n" + rows.format(item=item.item_id)
    with pytest.raises(InvalidInput, match=reason):
        await world.curation.ImportReviewRatings(
            pb.ImportReviewRatingsRequest(name=review.name, reviewer="ann", csv=text)
        )
    assert (await first_item(world, review.name, "ann")).remaining == 20
