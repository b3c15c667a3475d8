"""Feedback: users mark answers, a lead has them reviewed, and what is erased at the gateway is erased here.

A mark holds no text. When a review is opened, curation asks the gateway for the answers; those whose records hold no
text (the installation keeps hashes, or the text ran out or was erased) can't be shown and are left out.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from posology.core import audit
from posology.core.controllers import ControlLoop
from posology.core.errors import FailedPrecondition, NotFound, PosologyError
from posology.core.redaction import redacted
from posology.core.rpc import context
from posology.core.store import Database, now
from posology.curation.feedback import items, repository
from posology.curation.feedback.domain import KIND, Mark, Text, Thumb
from posology.curation.review import repository as reviews
from posology.curation.review.domain import Policy, Review, ReviewState, Task
from posology.curation.review.sampling import frame_digest

log = logging.getLogger("posology.curation.feedback")
_AT_ONCE = 16
"""Questions to the gateway at once."""
_ANY_RATE = 0.5
"""A policy names a limit; here nothing is measured against it."""


class Answers(Protocol):
    """Where the texts of answers are."""

    async def text(self, answer: str) -> Text:
        """What the record of an answer holds; NotFound."""
        ...


class Feedback:
    """All that users said of answers."""

    def __init__(self, db: Database, answers: Answers, *, erase_seconds: float = 300.0) -> None:
        """`erase_seconds`: how late what was erased at the gateway is erased here."""
        self._db = db
        self._answers = answers
        self._erase_seconds = erase_seconds

    async def mark(self, mark: Mark, *, validate_only: bool) -> Mark:
        """Store what the caller says of an answer; NotFound where there is none."""
        text = await self._answers.text(mark.answer)
        # Where the installation keeps no text of an answer, it keeps none about it either.
        comment = redacted(mark.comment) if text.kept else ""
        whole = replace(mark, comment=comment, model_name=text.model_name, has_text=text.kept)
        if validate_only:
            return whole
        async with self._db.begin() as tx:
            stored = replace(whole, at=await now(tx))
            await repository.mark(tx, stored)
            detail = {"thumb": stored.thumb.value}
            await audit.append(tx, actor=mark.author, action="feedback.create", subject=mark.answer, detail=detail)
        return stored

    async def list_page(self, namespace: str, *, unreviewed: bool, size: int, token: str) -> tuple[list[Mark], str]:
        """A page of marks, newest first."""
        async with self._db.read() as tx:
            return await repository.list_page(tx, namespace, unreviewed=unreviewed, size=size, token=token)

    async def open_review(
        self, name: str, namespace: str, *, thumb: Thumb | None, reviewers: int, most: int, request_id: str,
        validate_only: bool,
    ) -> Review:  # fmt: skip
        """Open a review of the answers that wait; a repeated request gives the first one.

        FailedPrecondition where nothing waits, or nothing of it can be shown.
        """
        draft = self._draft(name, namespace, reviewers)
        async with self._db.read() as tx:
            if request_id and (earlier := await reviews.requested(tx, namespace, request_id)):
                return earlier
            waiting = await repository.waiting(tx, namespace, thumb)
        texts = await self._texts(waiting, most=most)
        if not texts:
            raise FailedPrecondition(_why_nothing(len(waiting)))
        drawn = tuple(
            items.item_of(answer, text, position=position, seed=draft.seed)
            for position, (answer, text) in enumerate(texts.items())
        )
        digest = frame_digest(texts)
        review = replace(
            draft, subject=f"sha256:{digest}", frame_digest=digest, frame_size=len(drawn), planned=len(drawn)
        )
        if validate_only:
            return review
        async with self._db.begin() as tx:
            stored = await reviews.create(tx, replace(review, created=await now(tx)), drawn, request_id=request_id)
            if not await repository.assign(tx, [*texts], name):
                raise FailedPrecondition("another review has just taken some of these answers; try again")
            detail = {"answers": len(drawn), "frame": digest}
            await audit.append(tx, actor=draft.creator, action="review.create", subject=name, detail=detail)
        return stored

    async def run(self) -> None:
        """Erase here what was erased at the gateway; never returns."""
        interval = self._erase_seconds
        await ControlLoop("feedback", self.reconcile_once, interval=interval, survives=PosologyError).run()

    async def reconcile_once(self) -> None:
        """Take the text out of every item whose answer's record holds none any more."""
        async with self._db.read() as tx:
            shown = await repository.shown(tx)
        if not shown:
            return
        gone = [answer for answer, text in (await self._read(shown)).items() if not text.kept]
        if gone:
            async with self._db.begin() as tx:
                await repository.erase(tx, gone)
            await self._db.forget()
            log.info("answers were erased in reviews, as at the gateway", extra={"answers": len(gone)})

    def _draft(self, name: str, namespace: str, reviewers: int) -> Review:
        return Review(
            name=name, namespace=namespace, subject="", kind=KIND, policy=Policy(1, 0.0, _ANY_RATE, 0.95, reviewers),
            seed=0, frame_size=0, frame_digest="", planned=0, state=ReviewState.OPEN,
            creator=context.caller.get().subject, created=datetime(1970, 1, 1, tzinfo=UTC), task=Task.RATE_FEEDBACK,
        )  # fmt: skip

    async def _texts(self, answers: Sequence[str], *, most: int) -> dict[str, Text]:
        """The first so many answers that have a text."""
        texts: dict[str, Text] = {}
        for start in range(0, len(answers), _AT_ONCE):
            batch = await self._read(answers[start : start + _AT_ONCE])
            texts |= {answer: text for answer, text in batch.items() if text.kept}
            if len(texts) >= most:
                break
        return dict(list(texts.items())[:most])

    async def _read(self, answers: Sequence[str]) -> dict[str, Text]:
        """Text by answer; an empty one for an answer whose record is gone."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(answer: str) -> Text:
            async with at_once:
                try:
                    return await self._answers.text(answer)
                except NotFound:
                    return Text("", "")

        return dict(zip(answers, await asyncio.gather(*map(one, answers)), strict=True))


def _why_nothing(waiting: int) -> str:
    if not waiting:
        return "no answer waits for a review: none was marked, or reviews have all that were"
    return (
        f"{waiting} marked answers wait, and the record of none holds its text, so there is nothing to show: records "
        f"keep text only with POSOLOGY_KEEP_TEXT=true at the gateway, for POSOLOGY_TEXT_DAYS, and until it is erased"
    )
