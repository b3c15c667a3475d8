"""Reviews: opened over an artifact, rated item by item, closed once when all is settled."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from posology.core import audit
from posology.core.artifacts import ArtifactStore
from posology.core.canonical import canonical_json
from posology.core.controllers import ControlLoop
from posology.core.errors import FailedPrecondition, InvalidInput, PosologyError, Violation
from posology.core.notifications import Signal
from posology.core.redaction import redacted
from posology.core.registrar import Registrar
from posology.core.release.tries import percent
from posology.core.rpc import context
from posology.core.signing import Signer
from posology.core.store import Database, Transaction, now
from posology.curation.domain import draw
from posology.curation.review import bound, publish, repository, spreadsheet, strata, tries, try_price
from posology.curation.review.domain import (
    Correction,
    Rating,
    Review,
    ReviewState,
    Task,
    corrections,
    disputed,
    settled,
)
from posology.curation.review.queue import Queue, Waiting, is_for
from posology.curation.review.strata import Earlier, earlier
from posology.curation.review.subject import Drawn, draw_items, frame_of
from posology.curation.review.summary import Summary, passed, summarize
from posology.curation.review.tries import Frame

log = logging.getLogger("posology.curation.review")
_LOOK_SECONDS = 5.0  # how late a review that a dead process left in CLOSING is taken up
ACTOR = "posology.curation"
_SUMMARIES = 256
"""Reviews whose summary is remembered."""


class Reviews:
    """All reviews of this installation."""

    def __init__(
        self,
        db: Database,
        artifacts: ArtifactStore,
        signer: Signer,
        registrar: Registrar,
        *,
        grace: timedelta = timedelta(minutes=15),
    ) -> None:
        """`grace`: how long a settled review waits for its reviewers' confirmation before it closes by itself."""
        self._grace = grace
        self._db = db
        self._artifacts = artifacts
        self._signer = signer
        self._registrar = registrar
        self._wake = Signal()
        self._queue = Queue()
        self._summaries: dict[str, tuple[tuple[int, datetime | None], Summary]] = {}

    # --- opening ---------------------------------------------------------------------------------------

    async def create(self, draft: Review, *, request_id: str, validate_only: bool) -> Review:
        """Open the review that `draft` describes; frame, plan and state are filled in here."""
        async with self._db.read() as tx:
            existing = await repository.find(tx, draft, request_id=request_id)
        if existing:
            return existing
        known = await self._known(draft)
        kind, frame = await asyncio.to_thread(frame_of, self._artifacts, draft.subject, draft.task)
        draft = replace(draft, kind=kind, frame_digest=frame.digest)
        while True:
            review, drawn = await self._drawn(draft, frame, known)
            if review.task is Task.RATE_CORRECTNESS:
                _check_plan(review)
            if validate_only:
                return review
            async with self._db.begin() as tx:
                await tries.alone(tx)
                if await _number(tx, review, frame) > review.number:
                    continue  # another was opened meanwhile
                opened = replace(review, created=await now(tx))
                stored = await repository.create(tx, opened, drawn.items, request_id=request_id)
                if stored.name == review.name:
                    detail = {"subject": review.subject, "planned": review.planned, "frame": review.frame_digest}
                    await self._note(tx, "review.create", stored.name, detail | {"try": review.number})
            return stored

    async def _drawn(self, draft: Review, frame: Frame, known: Earlier | None) -> tuple[Review, Drawn]:
        """The review with its sample, under the confidence and the draw of its try.

        A stricter confidence may carry less of an earlier sample, which makes it one try more, never less.
        """
        review = self._at(draft, 1)
        while True:
            drawn = await asyncio.to_thread(
                draw_items,
                self._artifacts,
                review.subject,
                replace(review.policy, confidence=review.confidence),
                seed=review.drawn_by,
                task=review.task,
                known=known,
            )
            planned = sum(not item.repeat_of for item in drawn.items)
            review = replace(review, frame_size=drawn.frame_size, planned=planned, strata=drawn.strata)
            async with self._db.read() as tx:
                number = await _number(tx, review, frame)
            if number <= review.number:
                return review, drawn
            review = self._at(review, number)

    def _at(self, review: Review, number: int) -> Review:
        """The review as this try; where tries are counted, what it draws is told by nobody beforehand."""
        if not try_price.is_counted(review):
            return review
        said = {"seed": review.seed, "frame": review.frame_digest, "try": number}
        draws = int.from_bytes(self._signer.derived(canonical_json(said))[:4], "big") >> 1
        return replace(review, number=number, draws=draws)

    async def _known(self, draft: Review) -> Earlier | None:
        """The closed review of the data set that the subject is a corrected version of, if there is one."""
        lines = await asyncio.to_thread(_lines_before, self._artifacts, draft.subject)
        async with self._db.read() as tx:
            review = await repository.closed_about(tx, draft.namespace, lines) if lines else None
            if review is None:
                return None
            return earlier(review, await repository.items(tx, review.name), await repository.ratings(tx, review.name))

    async def corrections(self, name: str) -> list[Correction]:
        """What the wrong items should say; FailedPrecondition while reviewers may still change their ratings."""
        async with self._db.read() as tx:
            review = await repository.get(tx, name)
            if review.state not in (ReviewState.PASSED, ReviewState.FAILED):
                raise FailedPrecondition(
                    f"{name} is {review.state.lower()}; its corrections are told once it is closed"
                )
            listed = corrections(review, await repository.items(tx, name), await repository.ratings(tx, name))
        if review.task is Task.RATE_FEEDBACK:  # users' questions are for reviewers, not for all who may read a review
            return [replace(one, question="", answer="") for one in listed]
        return listed

    # --- reading ---------------------------------------------------------------------------------------

    async def get(self, name: str) -> tuple[Review, Summary]:
        """A review and what its ratings say; NotFound."""
        async with self._db.read() as tx:
            review = await repository.get(tx, name)
            return review, await self._read_summary(tx, review)

    async def list_page(
        self, namespace: str, *, size: int, token: str, ended_after: datetime | None
    ) -> tuple[list[tuple[Review, Summary]], str]:
        """A page of reviews, newest first."""
        async with self._db.read() as tx:
            reviews, following = await repository.list_page(
                tx, namespace, size=size, token=token, ended_after=ended_after
            )
            return [(r, await self._read_summary(tx, r)) for r in reviews], following

    async def creator(self, name: str) -> str:
        """Whose work is reviewed; NotFound."""
        async with self._db.read() as tx:
            return (await repository.get(tx, name)).creator

    async def next_items(
        self, name: str, reviewer: str, *, adjudicate: bool, most: int = 1, held: Collection[str] = ()
    ) -> Waiting:
        """The next items for a reviewer but those `held`, at most so many, and how many are left for them.

        Each reviewer has an order of their own, so that tiredness does not fall on the same items.
        """
        async with self._db.read() as tx:
            review = await repository.get(tx, name)
            if review.state is not ReviewState.OPEN:
                return Waiting((), 0, {})
            return await self._queue.next(tx, review, reviewer, adjudicate=adjudicate, most=most, held=held)

    async def _read_summary(self, tx: Transaction, review: Review) -> Summary:
        """What the ratings say, counted again only when one came or changed."""
        version = await repository.ratings_version(tx, review.name)
        known = self._summaries.get(review.name)
        if known is None or known[0] != version:
            known = (version, await _summary(tx, review))
            self._summaries[review.name] = known
            while len(self._summaries) > _SUMMARIES:
                del self._summaries[next(iter(self._summaries))]
        return known[1]

    # --- rating ----------------------------------------------------------------------------------------

    async def submit(self, name: str, rating: Rating) -> Rating:
        """Store a rating; the reviewer may change it until they confirm, also the one that settles the last item."""
        async with self._db.begin() as tx:
            review = await repository.get(tx, name, lock=True)
            if review.task is Task.RATE_FEEDBACK:  # what is said of a user's question is published, so nobody is named
                rating = replace(rating, comment=redacted(rating.comment))
            if (repeated := await repository.rating(tx, name, rating)) is not None:
                return repeated  # a call that was repeated because its answer got lost
            if review.state is not ReviewState.OPEN:
                raise FailedPrecondition(f"{name} is {review.state.lower()}; its ratings no longer change")
            await repository.item(tx, name, rating.item)
            stored = replace(rating, at=await now(tx))
            before = await repository.ratings_of_item(tx, name, rating.item)
            _check_rating(review, stored, before)
            if rating.reviewer in await repository.confirmed(tx, name):
                raise FailedPrecondition(f"{rating.reviewer} confirmed their ratings of {name}; they no longer change")
            await repository.rate(tx, name, stored)
            await repository.settle(tx, name, stored.at if await _is_complete(tx, review) else None)
            action = "review.adjudicate" if rating.adjudication else "review.rate"
            await self._note(tx, action, name, _said(rating))
        return stored

    async def confirm(self, name: str, reviewer: str) -> tuple[Review, Summary]:
        """Make a reviewer's ratings final; the last confirmation closes a settled review.

        FailedPrecondition while the reviewer has rated nothing, or has items left.
        """
        async with self._db.begin() as tx:
            review = await repository.get(tx, name, lock=True)
            confirmed = await repository.confirmed(tx, name)
            if review.state is ReviewState.OPEN and reviewer not in confirmed:
                ratings = await repository.ratings(tx, name)
                await self._check_confirmation(tx, review, ratings, reviewer)
                await repository.confirm(tx, name, reviewer, await now(tx))
                await self._note(tx, "review.confirm", name, {"reviewer": reviewer})
                raters = {rating.reviewer for ratings_of_item in ratings.values() for rating in ratings_of_item}
                if review.settled and raters <= confirmed | {reviewer}:
                    await repository.move(tx, name, ReviewState.CLOSING)
                    self._wake.notify()
        return await self.get(name)

    # --- spreadsheets ----------------------------------------------------------------------------------

    async def export_items(self, name: str, reviewer: str, *, adjudicate: bool = False) -> str:
        """The items that a reviewer has rated or may still rate (or decide), as CSV in that reviewer's order."""
        async with self._db.read() as tx:
            review = await repository.get(tx, name)
            ratings = await repository.ratings(tx, name)
            items = [item for item in await repository.items(tx, name) if not (adjudicate and item.repeat_of)]
        own = (rating for of_item in ratings.values() for rating in of_item if rating.reviewer == reviewer)
        mine = {rating.item: rating for rating in own if rating.adjudication == adjudicate}
        theirs = [i for i in items if i.id in mine or is_for(ratings.get(i.id, []), review, reviewer, adjudicate)]
        return spreadsheet.write(sorted(theirs, key=lambda item: draw(review.drawn_by, reviewer, item.id)), mine)

    async def import_ratings(self, name: str, reviewer: str, kind: str, text: str, *, adjudicate: bool = False) -> int:
        """Store the ratings of a spreadsheet and say how many; nothing of it is stored when a row is wrong."""
        async with self._db.read() as tx:
            review = await repository.get(tx, name)
            known = frozenset(await repository.positions(tx, name))
            before = await repository.ratings(tx, name)
            at = await now(tx)
        rows = spreadsheet.read(text, known=known)
        ratings = [Rating(reviewer=reviewer, kind=kind, at=at, adjudication=adjudicate, **vars(row)) for row in rows]
        for rating in ratings:
            _check_rating(review, rating, before.get(rating.item, []))
        for rating in ratings:
            await self.submit(name, rating)
        return len(ratings)

    async def _check_confirmation(
        self, tx: Transaction, review: Review, ratings: Mapping[str, list[Rating]], reviewer: str
    ) -> None:
        if not any(rating.reviewer == reviewer for ratings_of_item in ratings.values() for rating in ratings_of_item):
            raise FailedPrecondition(f"{reviewer} has rated nothing of {review.name}, so there is nothing to confirm")
        positions = await repository.positions(tx, review.name)
        left = sum(is_for(ratings.get(id, []), review, reviewer, adjudicate=False) for id in positions)
        if left:
            raise FailedPrecondition(f"{left} items of {review.name} wait for {reviewer}; rate them first")

    async def cancel(self, name: str) -> tuple[Review, Summary]:
        """Close a review early; one that ended stays as it is."""
        async with self._db.begin() as tx:
            review = await repository.get(tx, name, lock=True)
            if review.state is ReviewState.OPEN:
                await repository.move(tx, name, ReviewState.CANCELLED, ended=await now(tx))
                await self._note(tx, "review.cancel", name, {})
        return await self.get(name)

    # --- closing ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Close reviews that are settled, also those that a dead process left behind; never returns."""
        await ControlLoop("reviews", self.reconcile_once, interval=_LOOK_SECONDS, wake=self._wake).run()

    async def reconcile_once(self) -> None:
        """Close what is settled now."""
        await self._close_settled()
        async with self._db.read() as tx:
            due = await repository.in_state(tx, ReviewState.CLOSING)
        for name in due:
            await self._close_or_wait(name)

    async def _close_settled(self) -> None:
        """Take up reviews whose ratings nobody has changed for the time of grace."""
        async with self._db.begin() as tx:
            until = await now(tx) - self._grace
            for name in await repository.settled_before(tx, until):
                review = await repository.get(tx, name, lock=True)
                if review.state is ReviewState.OPEN and review.settled and review.settled < until:
                    await repository.move(tx, name, ReviewState.CLOSING)

    async def _close_or_wait(self, name: str) -> None:
        try:
            await self.close(name)
        except PosologyError as error:
            log.warning("the review is not closed yet; tried again", extra={"review": name, "reason": error.message})

    async def close(self, name: str) -> None:
        """Publish, sign, and say so, in this order: a crash in between does the same again with the same digest."""
        async with self._db.read() as tx:
            review = await repository.get(tx, name)
            ratings, items = await repository.ratings(tx, name), await repository.items(tx, name)
        repeats = {item.id: item.repeat_of for item in items if item.repeat_of}
        summary = summarize(review, ratings, repeats, {item.id: item.stratum for item in items})
        artifact = ""
        if passed(review, summary):
            artifact = await asyncio.to_thread(publish.publish, self._artifacts, review, items, ratings, summary)
            await self._registrar.register(review.namespace, artifact)
        envelope = publish.sign(self._signer, review, ratings, summary, artifact=artifact)
        state = ReviewState.PASSED if artifact else ReviewState.FAILED
        async with self._db.begin() as tx:
            if (await repository.get(tx, name, lock=True)).state is not ReviewState.CLOSING:
                return  # another replica was first
            await repository.move(tx, name, state, artifact=artifact, statement=envelope, ended=await now(tx))
            detail = {"state": state.value, "artifact": artifact, "errors": summary.errors, "rated": summary.rated}
            await audit.append(tx, actor=ACTOR, action="review.close", subject=name, detail=detail)

    async def _note(self, tx: Transaction, action: str, name: str, detail: Mapping[str, object]) -> None:
        await audit.append(tx, actor=context.caller.get().subject, action=action, subject=name, detail=detail)


async def _number(tx: Transaction, review: Review, frame: Frame) -> int:
    if not try_price.is_counted(review):
        return 1
    carried = next((one.review for one in review.strata if one.review), "")
    return await tries.number(tx, review, frame, planned=review.planned, carried=carried)


async def _is_complete(tx: Transaction, review: Review) -> bool:
    """Whether nothing lacks; all ratings are read only when there are enough of them for that."""
    items, ratings = await repository.counts(tx, review.name)
    return ratings >= items * review.policy.reviewers and (await _summary(tx, review)).complete


async def _summary(tx: Transaction, review: Review) -> Summary:
    ratings = await repository.ratings(tx, review.name)
    repeats = await repository.repeats(tx, review.name)
    return summarize(review, ratings, repeats, await repository.strata(tx, review.name) if review.strata else {})


def _lines_before(store: ArtifactStore, digest: str) -> list[str]:
    """The data sets that a data set is a version of, nearest first; blocking."""
    lines: list[str] = []
    while True:
        manifest = store.manifest(digest)
        parent = next((one for one in manifest.parents if store.exists(one)), "") if manifest.kind == "dataset" else ""
        if not parent or store.manifest(parent).kind != "dataset":
            return lines
        lines.append(parent)
        digest = parent


def _check_plan(review: Review) -> None:
    """A review that could not pass even without an error is refused before experts spend their time on it."""
    policy, planned, frame = review.policy, review.planned, review.frame_size
    limit, confidence = policy.max_error_rate, review.confidence
    if review.strata:
        _check_strata(review)
        return
    if bound.allowed_errors(planned, limit=limit, confidence=confidence) >= 0:
        return
    shown = bound.upper_bound(0, planned, confidence=confidence)
    needed = bound.sufficient_sample(0, limit=limit, confidence=confidence)
    again = f"it is try {review.number}, decided at {percent(confidence)} confidence: " if review.number > 1 else ""
    reason = (
        f"{again}{planned} items without an error prove only an error rate below {shown:.2%}, not below {limit:.2%}: "
        f"review {needed} or more (the set has {frame}), or raise maxErrorRate"
    )
    raise InvalidInput.of([Violation("policy.sample", reason)])


def _check_strata(review: Review) -> None:
    limit, confidence = review.policy.max_error_rate, review.confidence
    shown = strata.upper_bound(review.strata, {}, confidence=confidence)
    if shown >= limit:
        sizes = ", ".join(f"{one.planned or one.sampled} of {one.size} {one.name} rows" for one in review.strata)
        reason = (
            f"{sizes} without an error prove only an error rate below {shown:.2%}, not below {limit:.2%}: review more"
        )
        raise InvalidInput.of([Violation("policy.sample", reason)])


def _check_rating(review: Review, rating: Rating, before: list[Rating]) -> None:
    if rating.judgement not in review.task.judgements:
        allowed = ", ".join(review.task.judgements)
        raise InvalidInput.of([Violation("judgement", f"is {rating.judgement}; this review takes {allowed}")])
    if rating.correction and not rating.judgement.error:
        reason = f"{rating.item} is judged correct and corrected; judge it wrong, or leave the correction out"
        raise InvalidInput.of([Violation("rating.correction", reason)])
    if rating.correction and review.kind != "dataset":
        reason = f"only a data set's answers are corrected, and this reviews {review.kind}; say it in the comment"
        raise InvalidInput.of([Violation("rating.correction", reason)])
    others = [r for r in before if r.reviewer != rating.reviewer]
    mine = [r for r in before if r.reviewer == rating.reviewer]
    if rating.adjudication:
        if mine and not mine[0].adjudication:
            raise FailedPrecondition("an item is adjudicated by somebody who has not rated it")
        if not mine and not disputed(before, review.policy.reviewers):
            raise FailedPrecondition("this item is not in dispute; there is nothing to adjudicate")
    elif mine and mine[0].adjudication:
        raise FailedPrecondition("you adjudicated this item; use AdjudicateReviewItem to change that")
    elif not mine and len(others) >= review.policy.reviewers:
        raise FailedPrecondition(f"this item has its {review.policy.reviewers} ratings; ask NextReviewItem for another")
    elif settled(before, review.policy.reviewers) and any(r.adjudication for r in others):
        raise FailedPrecondition("this item was adjudicated; its ratings no longer change")


def _said(rating: Rating) -> dict[str, str]:
    """A rating for the audit trail, without its free text."""
    return {"item": rating.item, "reviewer": rating.reviewer, "kind": rating.kind, "judgement": rating.judgement.value}
