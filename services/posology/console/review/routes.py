"""The review queue, and one item a screen."""

import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from posology.client import Client
from posology.console import marks, pages
from posology.console.guard import check_csrf, own_form
from posology.core.errors import InvalidInput, Violation
from posology.core.visible import visible
from posology.v1alpha1.curation_pb2 import ListReviewsRequest, Review, ReviewItem, ReviewRating

KINDS = ("pharmacist", "physician", "nurse", "other expert", "not an expert")
"""What a reviewer may say that she is; nobody is an expert unless she says so."""
BUTTONS = (
    ("CORRECT", "Correct", ""),
    ("MINOR_ERROR", "Minor error", "plain"),
    ("MAJOR_ERROR", "Major error", "danger"),
    ("HARMFUL", "Harmful", "danger"),
)
LABEL_BUTTONS = (
    ("COMPLIANCE", "Gives what was asked for", ""),
    ("PARTIAL_REFUSAL", "Declines, and gives it or a part", "plain"),
    ("FULL_REFUSAL", "Gives nothing of it", "plain"),
)
"""Judgement, its words, and how the button looks; in the order of the keys."""
JUDGEMENTS = tuple(word for word, _, _ in BUTTONS + LABEL_BUTTONS)


async def queue(request: Request) -> Response:
    """Every review of the namespace, open ones first, each with how far it is."""
    client: Client = request.app.state.client
    listed = await client.curation.ListReviews(ListReviewsRequest(parent=client.names.parent, page_size=200))
    reviews = sorted(listed.reviews, key=lambda review: review.state != Review.OPEN)
    return pages.page(request, "review/queue.html", reviews=reviews, states=Review.State, kinds=KINDS)


async def introduce(request: Request) -> Response:
    """Who reviews, and as what; it stands in the signed statement."""
    form, session = await own_form(request), request.state.session
    reviewer = session.person.subject if session.person else form.get("reviewer", "").strip()
    kind, then = form.get("kind", ""), form.get("then", "")
    if not reviewer or len(reviewer) > 256:
        raise InvalidInput.of([Violation("reviewer", "say your name, in at most 256 characters")])
    if kind not in KINDS:
        raise InvalidInput.of([Violation("kind", f"is one of {', '.join(KINDS)}")])
    session.reviewer, session.kind = reviewer, kind
    return RedirectResponse(then if _is_ours(then) else "/review", 303)


async def screen(request: Request) -> Response:
    """The page of one review; its script asks for the items."""
    client: Client = request.app.state.client
    review = await client.review(request.path_params["review"])
    return pages.page(
        request, "review/item.html", review=review, state=Review.State.Name(review.state), kinds=KINDS,
        adjudicate="adjudicate" in request.query_params,
        buttons=LABEL_BUTTONS if review.task == Review.LABEL_REFUSALS else BUTTONS,
        labels=review.task == Review.LABEL_REFUSALS,
    )  # fmt: skip


async def next_item(request: Request) -> Response:
    """The next item of this reviewer as JSON: pieces of text with marks, never markup."""
    client: Client = request.app.state.client
    session, review = request.state.session, request.path_params["review"]
    adjudicate = "adjudicate" in request.query_params
    item = await client.next_item(review, reviewer=session.reviewer, adjudicate=adjudicate)
    return JSONResponse({"item": _as_json(item) if item else None, **await _progress(client, review)})


async def rate(request: Request) -> Response:
    """Store one rating and answer with the next item, in one round trip. Safe to repeat."""
    session, client = request.state.session, request.app.state.client
    check_csrf(session, request.headers.get("x-csrf", ""))
    if not (session.reviewer and session.kind):
        raise InvalidInput.of([Violation("reviewer", "say first who you are")])
    try:
        body = json.loads(await request.body())
        rating = ReviewRating(
            item_id=str(body["item"]),
            reviewer=session.reviewer,
            reviewer_kind=session.kind,
            judgement=ReviewRating.Judgement.Value(str(body["judgement"])),
            comment=str(body.get("comment", "")),
        )
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(f"a rating names item and judgement ({', '.join(JUDGEMENTS)})") from None
    await client.submit_item(request.path_params["review"], rating, adjudicate=bool(body.get("adjudicate")))
    return await next_item(request)


async def confirm(request: Request) -> Response:
    """Make this reviewer's ratings final."""
    session, client = request.state.session, request.app.state.client
    await own_form(request)
    await client.confirm_review(request.path_params["review"], reviewer=session.reviewer)
    return RedirectResponse(f"/review/{request.path_params['review']}", 303)


async def _progress(client: Client, name: str) -> dict[str, Any]:
    review = await client.review(name)
    total = review.summary
    return {
        "state": Review.State.Name(review.state),
        "planned": total.planned,
        "rated": total.rated,
        "labels": review.task == Review.LABEL_REFUSALS,
        "bound": total.upper_bound if total.HasField("upper_bound") else None,
        "limit": review.policy.max_error_rate,
    }


def _as_json(item: ReviewItem) -> dict[str, Any]:
    """Texts as pieces; of a preference pair, the chosen and the rejected answer by name: both are to be judged."""
    support = f"{item.evidence}\n{item.section_text}"
    answers = [{"role": "answer", "pieces": _pieces(marks.answer(item.answer, support))}]
    if item.rejected:
        answers.append({"role": "rejected", "pieces": _pieces(marks.answer(item.rejected, support))})
    return {
        "id": item.item_id,
        "drug": visible(item.drug),
        "title": visible(item.section_title),
        "question": visible(item.question),
        "answers": answers,
        "section": _pieces(marks.section(item.section_text or item.evidence, item.evidence)),
        "remaining": item.remaining,
        "served": time.time(),
    }


def _pieces(segments: list[marks.Segment]) -> list[list[str]]:
    return [segment.as_json() for segment in segments]


def _is_ours(path: str) -> bool:
    return path.startswith("/review") and "//" not in path and "\\" not in path


ROUTES = [
    Route("/review", queue),
    Route("/review/introduce", introduce, methods=["POST"]),
    Route("/review/{review}", screen),
    Route("/review/{review}/next", next_item),
    Route("/review/{review}/ratings", rate, methods=["POST"]),
    Route("/review/{review}/confirm", confirm, methods=["POST"]),
]
