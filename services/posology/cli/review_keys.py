"""Reviewing with the keyboard: one key an item, the label's sentence beside the answer, a way back, going on later."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import typer
from rich.markup import escape

from posology.cli.state import State
from posology.v1alpha1.curation_pb2 import Review, ReviewItem, ReviewRating

KEYS = {"1": "CORRECT", "2": "MINOR_ERROR", "3": "MAJOR_ERROR", "4": "HARMFUL"}
HELP = "[bold]1[/] correct  [bold]2[/] minor error  [bold]3[/] major error  [bold]4[/] harmful  [dim]u back, q stop[/]"
LABEL_KEYS = {"1": "COMPLIANCE", "2": "PARTIAL_REFUSAL", "3": "FULL_REFUSAL"}
LABEL_HELP = (
    "[bold]1[/] gives what was asked for  [bold]2[/] declines, and gives it or a part  [bold]3[/] gives nothing of it  "
    "[dim]u back, q stop[/]"
)


@dataclass(frozen=True)
class Keys:
    """What the keys of a review mean, and the line that says so."""

    meaning: Mapping[str, str]
    help: str


def keys_of(review: Review) -> Keys:
    """By what the review asks."""
    return Keys(LABEL_KEYS, LABEL_HELP) if review.task == Review.LABEL_REFUSALS else Keys(KEYS, HELP)


def rate_all(at: State, review: str, *, reviewer: str, kind: str, adjudicate: bool) -> None:
    """Ask for each item that is left; every answer is stored at once, so stopping loses nothing."""
    keys = keys_of(_review(at, review))
    rated: list[ReviewItem] = []
    again: list[ReviewItem] = []
    while True:
        item = again.pop() if again else _next(at, review, reviewer, adjudicate=adjudicate)
        if item is None:
            at.write.note(nothing_left(_review(at, review), who=reviewer, adjudicate=adjudicate, hint=at.hint))
            return
        at.write.value(item, "\n".join([*lines(item), keys.help]))
        key = _key(at, keys, back=bool(rated))
        if key == "q":
            at.write.note(f"{len(rated)} rated; go on with: {at.hint(f'review rate {review}')}")
            return
        if key == "u":
            again += [item, rated.pop()]
            continue
        _store(at, review, _rating(item, keys.meaning[key], reviewer, kind), adjudicate=adjudicate)
        rated.append(item)


def nothing_left(review: Review, *, who: str, adjudicate: bool, hint: Callable[[str], str]) -> str:
    """Why no item comes: the review is closed, or this reviewer has done all; and what can be done then."""
    short = review.name.rsplit("/", 1)[-1]
    if is_closed(review):
        return f"{closed(review)}; what it shows: {hint(f'review summary {short}')}"
    if adjudicate:
        return f"nothing of {short} waits for adjudication"
    return f"nothing is left for {who or 'you'}; make it final: {hint(f'review confirm {short}')}"


def is_closed(review: Review) -> bool:
    """Whether it takes no rating any more."""
    return review.state in (Review.PASSED, Review.FAILED, Review.CANCELLED)


def closed(review: Review) -> str:
    """`review x is closed (PASSED) and takes no more ratings`."""
    short, state = review.name.rsplit("/", 1)[-1], Review.State.Name(review.state)
    return f"review {short} is closed ({state}) and takes no more ratings"


def lines(item: ReviewItem) -> Iterator[str]:
    """The item: what was asked and answered, and the sentence of the label that must bear it."""
    yield f"\n[bold]{escape(item.drug)}[/]: {escape(item.section_title)}  [dim]({item.remaining} left)[/]"
    yield f"  [bold]Question [/] {escape(item.question)}"
    yield f"  [bold]Answer   [/] {escape(item.answer)}"
    if item.rejected:
        yield f"  [bold]Rejected [/] {escape(item.rejected)}"
    if item.evidence:
        yield f"  [bold]Label    [/] {escape(item.evidence)}"


def _review(at: State, review: str) -> Review:
    return at.call(lambda client: client.review(review))


def _next(at: State, review: str, reviewer: str, *, adjudicate: bool) -> ReviewItem | None:
    return at.call(lambda client: client.next_item(review, reviewer=reviewer, adjudicate=adjudicate))


def _store(at: State, review: str, rating: ReviewRating, *, adjudicate: bool) -> None:
    at.call(lambda client: client.submit_item(review, rating, adjudicate=adjudicate))


def _rating(item: ReviewItem, judgement: str, reviewer: str, kind: str) -> ReviewRating:
    return ReviewRating(
        item_id=item.item_id,
        reviewer=reviewer,
        reviewer_kind=kind,
        judgement=ReviewRating.Judgement.Value(judgement),
    )


def _key(at: State, keys: Keys, *, back: bool) -> str:
    """A key that means something here; anything else is asked for again."""
    while True:
        key = typer.getchar()
        if key in ("\x03", "\x04", "q", ""):
            return "q"
        if key in keys.meaning or (key == "u" and back):
            return key
        at.write.note("nothing to go back to" if key == "u" else keys.help)
