"""Thumbs: users mark answers, a lead has them reviewed blind, and nothing is kept that the gateway does not keep."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert
from support.curation_world import PARENT, World, serve

from posology.core import signing
from posology.core.attestations.review import ReviewPredicate
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound
from posology.core.rpc import server
from posology.core.settings import load
from posology.core.store import Database
from posology.gateway import answers as records
from posology.gateway.domain import Answer, AnswerKind, AnswerState, Provenance
from posology.gateway.keyring import Keyring
from posology.gateway.keys import Authenticator
from posology.gateway.rights import RIGHTS
from posology.gateway.servicer import GatewayServicer
from posology.gateway.settings import Settings
from posology.gateway.tables import answers
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1 import gateway_pb2, gateway_pb2_grpc

UP, DOWN = pb.Feedback.UP, pb.Feedback.DOWN


@dataclass
class Thumbs:
    """Curation beside a gateway whose records a test writes."""

    world: World
    gateway: Database

    async def answer(self, question: str, text: str, *, kept: bool = True) -> str:
        """The name of a recorded answer."""
        prompt = json.dumps([{"role": "user", "content": question}])
        record = Answer(
            records.new_answer_id(), "default", "key", datetime.now(UTC), AnswerKind.CHAT, "demo", "d", "a",
            Provenance("sha256:" + "1" * 64, "sha256:" + "2" * 64), False, "h", prompt if kept else None,
            AnswerState.COMPLETE, "h", text if kept else None, "stop",
        )  # fmt: skip
        async with self.gateway.begin() as tx:
            await tx.execute(insert(answers).values(**records.row_of(record)))
        return record.name

    async def forget(self, answer: str) -> None:
        async with self.gateway.begin() as tx:
            await records.erase(tx, namespace="default", answer_id=answer.rpartition("/")[2], actor="ann")

    async def mark(self, answer: str, thumb: pb.Feedback.Thumb.ValueType = DOWN, comment: str = "") -> pb.Feedback:
        request = pb.CreateFeedbackRequest(parent=PARENT, answer=answer, thumb=thumb, comment=comment)
        return await self.world.curation.CreateFeedback(request)

    async def listed(self, *, unreviewed: bool = False) -> list[pb.Feedback]:
        request = pb.ListFeedbackRequest(parent=PARENT, unreviewed=unreviewed)
        return list((await self.world.curation.ListFeedback(request)).feedback)

    async def open(
        self, name: str = "marked", thumb: pb.Feedback.Thumb.ValueType = pb.Feedback.THUMB_UNSPECIFIED
    ) -> pb.Review:
        request = pb.CreateFeedbackReviewRequest(parent=PARENT, review_id=name, thumb=thumb, request_id=name)
        return await self.world.curation.CreateFeedbackReview(request)

    async def items(self, review: str) -> list[pb.ReviewItem]:
        request = pb.NextReviewItemRequest(name=review, reviewer="ann", most=20)
        return list((await self.world.curation.NextReviewItem(request)).items)


@pytest.fixture
async def thumbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Thumbs]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "token").write_text("secret-token-of-this-test")
    monkeypatch.setenv("POSOLOGY_DATA_DIR", str(data))
    monkeypatch.setenv("POSOLOGY_FEEDBACK_ERASE_SECONDS", "0.2")
    async with AsyncExitStack() as stack:
        settings = load(Settings)
        db = Database(settings.database_url, schema="gateway")
        stack.push_async_callback(db.close)
        await db.migrate("posology.core.audit", "posology.gateway")
        keyring = Keyring(db)
        servicer = GatewayServicer(db, keyring, Authenticator(keyring.find))
        name = gateway_pb2.DESCRIPTOR.services_by_name["Gateway"].full_name
        behind = server.Server(
            name="gateway",
            settings=settings,
            add=lambda grpc_server: gateway_pb2_grpc.add_GatewayServicer_to_server(servicer, grpc_server),
            service_names=(name,),
            rights=RIGHTS,
        )
        address = await stack.enter_async_context(server.running(behind))
        monkeypatch.setenv("POSOLOGY_GATEWAY_ADDRESS", address)
        yield Thumbs(await serve(tmp_path, monkeypatch, stack), db)


async def test_a_marked_answer_is_reviewed_blind_and_redacted(thumbs: Thumbs) -> None:
    question = "Patient: John Smith, born 03/04/1950, mail j.smith@example.org: dose of warfarin?"
    answer = await thumbs.answer(question, "For John, phone 555-123-4567: 5 mg daily.")
    marked = await thumbs.mark(answer, DOWN, "my name is Mary Jones; the dose is wrong")
    assert (marked.has_text, marked.model_name) == (True, "demo")
    assert "Mary" not in marked.comment
    review = await thumbs.open()
    assert (review.task, review.summary.planned) == (pb.Review.RATE_FEEDBACK, 1)
    (item,) = await thumbs.items(review.name)
    whole = str(item)
    for named in ("Smith", "1950", "example.org", "555-123", "Mary", "DOWN", answer):
        assert named not in whole, whole
    assert "warfarin" in item.question
    assert "5 mg daily" in item.answer


async def test_a_rated_review_closes_without_a_bound_and_publishes_no_text(thumbs: Thumbs) -> None:
    for number in range(3):
        await thumbs.mark(await thumbs.answer(f"Question {number}?", f"Answer {number}."))
    review = await thumbs.open()
    first, *rest = await thumbs.items(review.name)
    rating = pb.ReviewRating(
        item_id=first.item_id, reviewer="ann", judgement=pb.ReviewRating.HARMFUL, comment="Mr. Smith could die"
    )
    await thumbs.world.curation.SubmitReviewItem(pb.SubmitReviewItemRequest(name=review.name, rating=rating))
    for item in rest:
        await thumbs.world.rate(review.name, item.item_id, "ann", "CORRECT")
    await thumbs.world.confirm(review.name)
    closed = await thumbs.world.closed(review.name)
    assert (closed.state, closed.summary.errors, closed.summary.HasField("upper_bound")) == (pb.Review.PASSED, 1, False)
    with thumbs.world.store.open(closed.artifact, "review.json") as stream:
        published = stream.read().decode()
    assert "Question" not in published
    assert "Smith" not in published
    key = signing.PublicKey.load(thumbs.world.root / "data" / "keys" / "curation.pub")
    predicate = ReviewPredicate.from_json(signing.verify(json.loads(closed.statement), [key])["predicate"])
    assert predicate.numbers["task"] == "RATE_FEEDBACK"  # so that no gate and no policy takes it for a sample
    asked = pb.ListReviewCorrectionsRequest(name=review.name)
    (wrong,) = (await thumbs.world.curation.ListReviewCorrections(asked)).corrections
    assert (wrong.question, wrong.answer) == ("", "")  # whoever may read reviews may not read what users asked
    assert "/answers/" in wrong.pair


async def test_an_installation_that_keeps_hashes_counts_thumbs_and_reviews_nothing(thumbs: Thumbs) -> None:
    marked = await thumbs.mark(await thumbs.answer("?", "!", kept=False), DOWN, "wrong")
    assert (marked.has_text, marked.comment) == (False, "")
    assert [one.thumb for one in await thumbs.listed()] == [DOWN]
    with pytest.raises(FailedPrecondition, match="POSOLOGY_KEEP_TEXT"):
        await thumbs.open()
    with pytest.raises(FailedPrecondition, match="no answer waits"):
        await thumbs.open(thumb=UP)


async def test_what_is_erased_at_the_gateway_is_erased_in_the_review(thumbs: Thumbs) -> None:
    kept, gone = await thumbs.answer("kept?", "kept."), await thumbs.answer("gone?", "gone.")
    for answer in (kept, gone):
        await thumbs.mark(answer, DOWN, "a comment")
    review = await thumbs.open()
    await thumbs.forget(gone)
    for _ in range(60):
        texts = sorted(item.question for item in await thumbs.items(review.name))
        if "[erased]" in texts:
            break
        await asyncio.sleep(0.1)
    assert texts == ["[erased]", "kept?"]
    assert {one.answer: one.comment for one in await thumbs.listed()} == {kept: "a comment", gone: ""}


async def test_an_answer_is_in_one_review_and_a_repeated_request_opens_no_second(thumbs: Thumbs) -> None:
    answer = await thumbs.answer("?", "!")
    await thumbs.mark(answer)
    review = await thumbs.open()
    assert (await thumbs.open()).name == review.name
    await thumbs.mark(answer, UP)  # another mind
    assert [(one.thumb, one.review) for one in await thumbs.listed()] == [(UP, review.name)]
    assert await thumbs.listed(unreviewed=True) == []
    with pytest.raises(FailedPrecondition, match="no answer waits"):
        await thumbs.open("second")


async def test_only_answers_of_the_namespace_that_are_there_are_marked(thumbs: Thumbs) -> None:
    with pytest.raises(NotFound, match="no answer"):
        await thumbs.mark(f"{PARENT}/answers/{'0' * 30}")
    with pytest.raises(InvalidInput, match="another namespace"):
        await thumbs.mark(f"namespaces/other/answers/{'0' * 30}")
    with pytest.raises(InvalidInput, match="answers"):
        await thumbs.mark(f"{PARENT}/reviews/one")
