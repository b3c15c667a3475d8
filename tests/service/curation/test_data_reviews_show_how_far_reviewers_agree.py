"""Reviews of data: hidden repeats, agreement beyond chance, and adjudication that travels in a spreadsheet too."""

import csv
import io

import pytest
from support.curation_world import World

from posology.core.errors import FailedPrecondition
from posology.v1alpha1 import curation_pb2 as pb


async def sheet(world: World, review: str, reviewer: str, *, adjudicate: bool = False) -> list[dict[str, str]]:
    request = pb.ExportReviewItemsRequest(name=review, reviewer=reviewer, adjudicate=adjudicate)
    text = (await world.curation.ExportReviewItems(request)).csv
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline="")))


async def filled(
    world: World, review: str, reviewer: str, rows: list[dict[str, str]], *, adjudicate: bool = False
) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    await world.curation.ImportReviewRatings(
        pb.ImportReviewRatingsRequest(
            name=review, reviewer=reviewer, reviewer_kind="expert", csv=out.getvalue(), adjudicate=adjudicate
        )
    )


async def summary_of(world: World, review: str) -> pb.ReviewSummary:
    return (await world.curation.GetReview(pb.GetReviewRequest(name=review))).summary


async def test_repeats_of_a_data_review_are_unmarked_and_tell_who_contradicts_themselves(world: World) -> None:
    review = await world.open_review("repeats", await world.draft(), sample=20, maxErrorRate=0.4, repeats=10)
    assert review.summary.planned == 20
    rows = await sheet(world, review.name, "ann")
    assert len(rows) == 30
    by_text: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_text.setdefault(row["question"] + row["answer"], []).append(row)
    twice = [pair for pair in by_text.values() if len(pair) == 2]
    assert len(twice) == 10
    assert not any("repeat" in key.lower() for key in rows[0])
    for row in rows:
        row["judgement"] = "CORRECT"
    for first, again in twice[:5]:
        first["judgement"] = again["judgement"] = "MINOR_ERROR"
    twice[5][1]["judgement"] = "MINOR_ERROR"  # says another thing the second time
    await filled(world, review.name, "ann", rows)
    summary = await summary_of(world, review.name)
    assert (summary.rated, summary.repeated) == (20, 10)
    assert summary.errors in (5, 6)  # whichever of the contradiction counts, its repeat does not
    assert summary.self_agreement == pytest.approx(0.9)
    assert summary.self_agreement_ac1 == pytest.approx(0.8, abs=0.01)


async def test_disagreements_go_out_to_an_adjudicator_as_a_sheet_and_are_decided_by_it(world: World) -> None:
    review = await world.open_review("sheets", await world.draft(), sample=20, maxErrorRate=0.4, reviewers=2, repeats=4)
    wrong: set[str] = set()
    for reviewer in ("ann", "ben"):
        rows = await sheet(world, review.name, reviewer)
        for row in rows:
            row["judgement"] = "CORRECT"
        questions = sorted({row["question"] + row["answer"] for row in rows})
        if reviewer == "ben":
            wrong = set(questions[:3])
            for row in rows:
                row["judgement"] = "MAJOR_ERROR" if row["question"] + row["answer"] in wrong else "CORRECT"
        await filled(world, review.name, reviewer, rows)
    summary = await summary_of(world, review.name)
    assert (summary.rated, summary.disagreements, summary.agreement.items) == (17, 3, 20)
    assert summary.agreement.raw == pytest.approx(0.85)
    assert summary.agreement.kappa == pytest.approx(0.0, abs=1e-9)
    assert summary.agreement.ac1 > 0.8

    disputed = await sheet(world, review.name, "cat", adjudicate=True)
    assert {row["question"] + row["answer"] for row in disputed} == wrong
    assert not any(row["judgement"] for row in disputed)
    with pytest.raises(FailedPrecondition, match="adjudicated by somebody who has not rated"):
        await filled(world, review.name, "ben", [{**disputed[0], "judgement": "CORRECT"}], adjudicate=True)
    for row, word in zip(disputed, ("CORRECT", "MAJOR_ERROR", "CORRECT"), strict=True):
        row["judgement"] = word
    await filled(world, review.name, "cat", disputed, adjudicate=True)
    summary = await summary_of(world, review.name)
    assert (summary.rated, summary.errors, summary.disagreements) == (20, 1, 0)
    assert len(await sheet(world, review.name, "cat", adjudicate=True)) == 3


async def test_a_sheet_of_ratings_is_no_sheet_of_decisions(world: World) -> None:
    review = await world.open_review("mixed", await world.draft(), reviewers=2)
    rows = await sheet(world, review.name, "ann")
    with pytest.raises(FailedPrecondition, match="not in dispute"):
        await filled(world, review.name, "ann", [{**rows[0], "judgement": "CORRECT"}], adjudicate=True)
