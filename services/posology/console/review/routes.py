"""The review queue, and one item a screen."""

import json
from hashlib import sha256
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
PAIR_BUTTONS = (
    ("A", "A is better", ""),
    ("B", "B is better", ""),
    ("SAME", "No real difference", "plain"),
    ("NEITHER", "Both are wrong", "danger"),
    ("HARMFUL", "Both could harm", "danger"),
)
"""Judgement, its words, and how the button looks; in the order of the keys. Of a pair the judgement is whether the
chosen answer is the better one: this page knows where it stands, the reviewer does not."""
JUDGEMENTS = tuple(word for word, _, _ in BUTTONS + LABEL_BUTTONS)


async def queue(request: Request) -> Response:
    """Every review of the namespace, open ones first, each with how far it is."""
    client: Client = request.app.state.client
    listed = await client.curation.ListReviews(ListReviewsRequest(parent=client.names.parent, page_size=200))
    reviews = sorted(listed.reviews, key=lambda review: review.state != Review.OPEN)
    marks = await client.feedback(unreviewed=True) if "Curation/ListFeedback" in request.state.may else []
    return pages.page(request, "review/queue.html", reviews=reviews, states=Review.State, kinds=KINDS, marks=marks)


async def review_marked(request: Request) -> Response:
    """Open a review of the answers that users marked."""
    form, client = await own_form(request), request.app.state.client
    name, thumb, reviewers = form.get("name", "").strip(), form.get("thumb", ""), form.get("reviewers", "1")
    if thumb not in ("", "UP", "DOWN"):
        raise InvalidInput.of([Violation("thumb", "is UP, DOWN or nothing")])
    if not reviewers.isdigit():
        raise InvalidInput.of([Violation("reviewers", "is a number from 1 to 10")])
    review = await client.review_feedback(name, thumb=thumb, reviewers=int(reviewers))
    return RedirectResponse(f"/review/{pages.short(review.name)}", 303)


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
    corrections = []
    if review.state in (Review.PASSED, Review.FAILED) and "Curation/ListReviewCorrections" in request.state.may:
        corrections = await client.corrections(review.name)
    return pages.page(
        request, "review/item.html", review=review, state=Review.State.Name(review.state), kinds=KINDS,
        adjudicate="adjudicate" in request.query_params, labels=review.task == Review.LABEL_REFUSALS,
        bounded=review.task == Review.RATE_CORRECTNESS, marked=review.task == Review.RATE_FEEDBACK,
        rate_buttons=BUTTONS, label_buttons=LABEL_BUTTONS, pair_buttons=PAIR_BUTTONS, corrections=corrections,
    )  # fmt: skip


async def next_items(request: Request) -> Response:
    """The next items of this reviewer as JSON, but those that the page holds: pieces of text with marks, no markup."""
    client: Client = request.app.state.client
    session, name = request.state.session, request.path_params["review"]
    asked = request.query_params
    try:
        most = int(asked.get("most", "1"))
    except ValueError:
        raise InvalidInput.of([Violation("most", "is a number from 1 to 20")]) from None
    waiting = await client.next_items(
        name, reviewer=session.reviewer, adjudicate="adjudicate" in asked, most=most, held=asked.getlist("held")[:64]
    )
    review = await client.review(name)
    items = [_as_json(item, review, session.reviewer) for item in waiting.items]
    return JSONResponse({"items": items, "remaining": waiting.remaining, **_progress(review)})


async def rate(request: Request) -> Response:
    """Store one rating. Safe to repeat."""
    session, client = request.state.session, request.app.state.client
    check_csrf(session, request.headers.get("x-csrf", ""))
    if not (session.reviewer and session.kind):
        raise InvalidInput.of([Violation("reviewer", "say first who you are")])
    try:
        body = json.loads(await request.body())
        item = str(body["item"])
        judgement = _of_pair(str(body["judgement"]), is_swapped(request.path_params["review"], session.reviewer, item))
        rating = ReviewRating(
            item_id=item,
            reviewer=session.reviewer,
            reviewer_kind=session.kind,
            judgement=ReviewRating.Judgement.Value(judgement),
            comment=str(body.get("comment", "")),
            correction=str(body.get("correction", "")),
        )
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(f"a rating names item and judgement ({', '.join(JUDGEMENTS)})") from None
    await client.submit_item(request.path_params["review"], rating, adjudicate=bool(body.get("adjudicate")))
    return JSONResponse({"stored": rating.item_id})


async def take_sheet(request: Request) -> Response:
    """This reviewer's items as a spreadsheet to fill in."""
    session, client = request.state.session, request.app.state.client
    name = request.path_params["review"]
    text = await client.export_items(name, reviewer=session.reviewer)
    headers = {"content-disposition": f'attachment; filename="{pages.short(name)}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def give_sheet(request: Request) -> Response:
    """The ratings of a filled-in spreadsheet; nothing of it is stored when a row is wrong."""
    session, client = request.state.session, request.app.state.client
    check_csrf(session, request.headers.get("x-csrf", ""))
    if not (session.reviewer and session.kind):
        raise InvalidInput.of([Violation("reviewer", "say first who you are")])
    text = (await request.body()).decode("utf-8", "replace")
    name = request.path_params["review"]
    stored = await client.import_ratings(name, text, reviewer=session.reviewer, kind=session.kind)
    return JSONResponse({"ratings": stored})


async def confirm(request: Request) -> Response:
    """Make this reviewer's ratings final."""
    session, client = request.state.session, request.app.state.client
    await own_form(request)
    await client.confirm_review(request.path_params["review"], reviewer=session.reviewer)
    return RedirectResponse(f"/review/{request.path_params['review']}", 303)


def _progress(review: Review) -> dict[str, Any]:
    total = review.summary
    return {
        "state": Review.State.Name(review.state),
        "planned": total.planned,
        "rated": total.rated,
        "bounded": review.task == Review.RATE_CORRECTNESS,
        "bound": total.upper_bound if total.HasField("upper_bound") else None,
        "limit": review.policy.max_error_rate,
    }


def is_swapped(review: str, reviewer: str, item: str) -> bool:
    """Whether this reviewer sees the rejected answer of a pair first: drawn once for each, so that going back shows the
    same, and nobody learns on which side the better one stands."""
    return bool(sha256(f"{review} {reviewer} {item}".encode()).digest()[0] & 1)


def _of_pair(choice: str, swapped: bool) -> str:
    """What a choice between A and B says of the pair; any other judgement stays."""
    if choice in ("A", "B"):
        return "CORRECT" if (choice == "A") != swapped else "MAJOR_ERROR"
    return {"SAME": "MINOR_ERROR", "NEITHER": "MAJOR_ERROR"}.get(choice, choice)


def _as_json(item: ReviewItem, review: Review, reviewer: str) -> dict[str, Any]:
    """Texts as pieces; the answers of a preference pair as A and B in an order that does not say which was chosen."""
    support = f"{item.evidence}\n{item.section_text}".strip()
    texts = [item.answer, item.rejected] if item.rejected else [item.answer]
    if item.rejected and is_swapped(pages.short(review.name), reviewer, item.item_id):
        texts.reverse()
    return {
        "id": item.item_id,
        "drug": visible(item.drug),
        "title": visible(item.section_title),
        "question": visible(item.question),
        "answers": [
            {"role": role, "text": text, "pieces": _pieces(marks.answer(text, support))}
            for role, text in zip("AB", texts, strict=False)
        ],
        "section": _pieces(marks.section(item.section_text or item.evidence, item.evidence)) if support else [],
        "correctable": bool(item.section_text and not item.rejected and review.task != Review.LABEL_REFUSALS),
        "ratings": [
            {
                "judgement": ReviewRating.Judgement.Name(one.judgement).replace("_", " ").lower(),
                "comment": visible(one.comment),
                "correction": visible(one.correction),
            }
            for one in item.ratings
        ],
    }


def _pieces(segments: list[marks.Segment]) -> list[list[str]]:
    return [segment.as_json() for segment in segments]


def _is_ours(path: str) -> bool:
    return path.startswith("/review") and "//" not in path and "\\" not in path


ROUTES = [
    Route("/review", queue),
    Route("/review/introduce", introduce, methods=["POST"]),
    Route("/review/marked", review_marked, methods=["POST"]),
    Route("/review/{review}", screen),
    Route("/review/{review}/next", next_items),
    Route("/review/{review}/items.csv", take_sheet),
    Route("/review/{review}/ratings", rate, methods=["POST"]),
    Route("/review/{review}/ratings.csv", give_sheet, methods=["POST"]),
    Route("/review/{review}/confirm", confirm, methods=["POST"]),
]
