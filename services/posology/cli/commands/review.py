"""review list, rate, next, submit, export, import, corrections, confirm, summary, marked."""

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from posology.cli import output, state
from posology.cli import review_keys as interactive
from posology.core.errors import FailedPrecondition, InvalidInput, Violation
from posology.core.release.tries import percent
from posology.v1alpha1 import curation_pb2
from posology.v1alpha1.curation_pb2 import ReviewRating

Review = Annotated[str, typer.Argument(help="The review's name, as `posology review list` prints it.")]
Reviewer = Annotated[str, typer.Option(help="Who reviews (default: the token's user, or the login name).")]
Adjudicate = Annotated[bool, typer.Option(help="Decide items on which reviewers disagree.")]
_LABELS = tuple(interactive.LABEL_KEYS.values())
_JUDGEMENTS = (*interactive.KEYS.values(), *_LABELS)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Review sampled answers, blind to other reviewers.", no_args_is_help=True)
    group.command("list")(list_reviews)
    group.command("rate")(rate)
    group.command("next")(next_item)
    group.command("submit")(submit)
    group.command("export")(export)
    group.command("import")(import_)
    group.command("corrections")(corrections)
    group.command("confirm")(confirm)
    group.command("summary")(summary)
    group.command("marked")(marked)
    app.add_typer(group, name="review")


def list_reviews(context: typer.Context) -> None:
    """List reviews, newest first."""
    at = state.of(context)
    listed = at.call(lambda client: client.reviews())
    rows = [
        (
            one.name.rsplit("/", 1)[1],
            curation_pb2.Review.State.Name(one.state),
            f"{one.summary.rated}/{one.summary.planned}",
            one.summary.errors,
        )
        for one in listed
    ]
    at.write.rows(listed, ("NAME", "STATE", "RATED", "ERRORS"), rows)


def marked(
    context: typer.Context,
    review: Annotated[str, typer.Argument(help="Name of the review to open.")],
    thumb: Annotated[str, typer.Option(help="Only answers with this mark: up or down.")] = "",
    reviewers: Annotated[int, typer.Option(help="People who rate each answer.", min=1, max=10)] = 1,
) -> None:
    """Open a review of the answers that users marked with a thumb; the gateway must keep their text."""
    at = state.of(context)
    if thumb.upper() not in ("", "UP", "DOWN"):
        raise InvalidInput.of([Violation("thumb", f"{thumb!r} is not up or down")])
    opened = at.call(lambda client: client.review_feedback(review, thumb=thumb.upper(), reviewers=reviewers))
    count = output.count(opened.summary.planned, "answer")
    at.write.value(opened, f"{opened.name}: {count} to rate; {at.hint(f'review rate {review}')}")


def rate(
    context: typer.Context,
    review: Review,
    reviewer: Reviewer = "",
    kind: Annotated[str, typer.Option(help="What you review as, such as expert; it is signed.")] = "",
    adjudicate: Adjudicate = False,
) -> None:
    """Rate item after item with one key each; u goes back, q stops, and the next time goes on where you stopped."""
    at = state.of(context)
    if at.write.json:
        raise InvalidInput("rating is a talk with a person; programs use review next and review submit")
    who = reviewer or _own_name(at)
    interactive.rate_all(at, review, reviewer=who, kind=kind, adjudicate=adjudicate)


def next_item(context: typer.Context, review: Review, reviewer: Reviewer = "", adjudicate: Adjudicate = False) -> None:
    """Show the next item."""
    at = state.of(context)
    who = reviewer or _own_name(at)
    item = at.call(lambda client: client.next_item(review, reviewer=who, adjudicate=adjudicate))
    if item is None:
        fetched = at.call(lambda client: client.review(review))
        at.write.value({}, interactive.nothing_left(fetched, who=who, adjudicate=adjudicate, hint=at.hint))
        return
    rejected = [f"[bold]Rejected:[/] {escape(item.rejected)}"] if item.rejected else []
    lines = [
        f"[bold]{item.item_id}[/]  {escape(item.drug)}: {escape(item.section_title)}  ({item.remaining} left)",
        f"[bold]Question:[/] {escape(item.question)}",
        f"[bold]Answer:[/] {escape(item.answer)}",
        *rejected,
        *([f"[bold]Label says:[/] {escape(item.evidence)}"] if item.evidence else []),
        f"[dim]{at.hint(f'review submit {review} {item.item_id}')} {'|'.join(_words(at, review))}[/]",
    ]
    at.write.value(item, "\n".join(lines))


def submit(
    context: typer.Context,
    review: Review,
    item: Annotated[str, typer.Argument(help="The item's id.")],
    judgement: Annotated[str, typer.Argument(help=" | ".join(_JUDGEMENTS))],
    reviewer: Reviewer = "",
    comment: Annotated[str, typer.Option(help="Why, in your words.")] = "",
    correction: Annotated[str, typer.Option(help="The answer as it should read, if it is wrong.")] = "",
    kind: Annotated[str, typer.Option(help="What you review as, such as expert; it is signed.")] = "",
    adjudicate: Adjudicate = False,
) -> None:
    """Rate an item; rating it again replaces your rating until you confirm."""
    at = state.of(context)
    if judgement.upper() not in _JUDGEMENTS:
        raise InvalidInput.of([Violation("judgement", f"{judgement!r} is not one of {', '.join(_JUDGEMENTS)}")])
    rating = ReviewRating(
        item_id=item,
        reviewer=reviewer or _own_name(at),
        reviewer_kind=kind,
        judgement=ReviewRating.Judgement.Value(judgement.upper()),
        comment=comment,
        correction=correction,
    )
    stored = at.call(lambda client: client.submit_item(review, rating, adjudicate=adjudicate))
    at.write.value(stored, f"{item}: {judgement.upper()} by {stored.reviewer} ({stored.reviewer_kind})")


def export(
    context: typer.Context,
    review: Review,
    file: Annotated[Path, typer.Argument(help="CSV to write; an existing file is not replaced.")],
    reviewer: Reviewer = "",
    adjudicate: Adjudicate = False,
) -> None:
    """Write your items to a spreadsheet; fill in judgement, correction and comment, then import it."""
    at = state.of(context)
    who = reviewer or _own_name(at)
    text = at.call(lambda client: client.export_items(review, reviewer=who, adjudicate=adjudicate))
    fetched = at.call(lambda client: client.review(review))
    if "\n" not in text.strip():  # a header alone
        why = interactive.nothing_left(fetched, who=who, adjudicate=adjudicate, hint=at.hint)
        raise FailedPrecondition(f"{why}; nothing was written to {file}")
    _write_new(file, text)
    words = ", ".join(interactive.keys_of(fetched).meaning.values())
    use = f"fill in judgement ({words}), then: {at.hint(f'review import {review} {file}')}"
    if interactive.is_closed(fetched):
        use = f"the ratings of {who or 'you'}, for the record; {interactive.closed(fetched)}"
    at.write.value({"file": str(file)}, f"{file}: {use}")


def import_(
    context: typer.Context,
    review: Review,
    file: Annotated[Path, typer.Argument(help="The CSV, filled in.")],
    reviewer: Reviewer = "",
    kind: Annotated[str, typer.Option(help="What you reviewed as, such as expert; it is signed.")] = "",
    adjudicate: Adjudicate = False,
) -> None:
    """Store the ratings of a filled-in spreadsheet; a wrong row leaves all of them out."""
    at = state.of(context)
    who = reviewer or _own_name(at)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput.of([Violation("file", f"{file} can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise InvalidInput.of([Violation("file", f"{file} is no UTF-8 text: {error}")]) from None
    stored = at.call(lambda client: client.import_ratings(review, text, reviewer=who, kind=kind, adjudicate=adjudicate))
    if not stored:
        raise InvalidInput.of([Violation("file", f"no row of {file} has a judgement; nothing was stored")])
    at.write.value(
        {"ratings": stored},
        f"{output.count(stored, 'rating')} {'is' if stored == 1 else 'are'} stored; make them final: "
        f"{at.hint(f'review confirm {review}')}",
    )


def corrections(
    context: typer.Context,
    review: Review,
    file: Annotated[Path, typer.Argument(help="JSON lines to write; an existing file is not replaced.")],
) -> None:
    """Write what a closed review's wrong items should say, for curation.corrections; items without a word are dropped.

    Items that reviewers corrected in different words are named and left out: add the line that is right.
    """
    at = state.of(context)
    listed = at.call(lambda client: client.corrections(review))
    lines = [line for one in listed if (line := _correction_line(one))]
    dropped = sum("drop" in line for line in lines)
    if lines:
        _write_new(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        summary = f"{file}: {len(lines) - dropped} corrected, {dropped} to drop; curation: {{corrections: file:...}}"
    else:
        why = "none of its wrong items has one correction" if listed else "no item of it was found wrong"
        summary = f"{review} has nothing to correct: {why}; {file} was not written"
    written = str(file) if lines else ""
    at.write.value({"file": written, "corrected": len(lines) - dropped, "dropped": dropped}, summary)
    for one in listed:
        if len(one.corrections) > 1:
            at.write.note(f"{one.pair} is corrected in {len(one.corrections)} ways and left out: {one.question}")


def _correction_line(one: curation_pb2.ReviewCorrection) -> dict[str, object] | None:
    comment = {"comment": "; ".join(one.comments)} if one.comments else {}
    if len(one.corrections) > 1:
        return None
    if one.corrections:
        return {"pair": one.pair, "answer": one.corrections[0], **comment}
    return {"pair": one.pair, "drop": True, **comment}


def _write_new(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except OSError as error:
        raise InvalidInput.of([Violation("file", f"{file} cannot be written: {error.strerror}")]) from None


def confirm(context: typer.Context, review: Review, reviewer: Reviewer = "") -> None:
    """Make your ratings final; once all reviewers have, the review closes and is signed."""
    at = state.of(context)
    who = reviewer or _own_name(at)
    confirmed = at.call(lambda client: client.confirm_review(review, reviewer=who))
    at.write.value(confirmed, "\n".join(summary_lines(confirmed, at.hint)))


def _words(at: state.State, review: str) -> list[str]:
    """What may be answered in this review."""
    return list(interactive.keys_of(at.call(lambda client: client.review(review))).meaning.values())


def _own_name(at: state.State) -> str:
    """The login name, where a token says nothing about who holds it."""
    return "" if at.installation.is_personal else getpass.getuser()


def summary(context: typer.Context, review: Review) -> None:
    """Say how far a review is, and what it shows."""
    at = state.of(context)
    fetched = at.call(lambda client: client.review(review))
    at.write.value(fetched, "\n".join(summary_lines(fetched, at.hint)))


def summary_lines(review: curation_pb2.Review, hint: Callable[[str], str]) -> list[str]:
    """The summary in sentences."""
    total, policy = review.summary, review.policy
    confidence = review.attempt.confidence or policy.confidence
    limit = f"{policy.max_error_rate:.2%} at {percent(confidence)} confidence"
    head = f"[bold]{review.name}[/]  {curation_pb2.Review.State.Name(review.state)}"
    if review.task == curation_pb2.Review.LABEL_REFUSALS:
        return [head, f"{total.rated} of {total.planned} answers are labelled.", *_state_lines(review, hint)]
    if review.task == curation_pb2.Review.RATE_FEEDBACK:
        rated = f"{total.rated} of {total.planned} marked answers are rated, {total.errors} with an error."
        return [head, rated, "Users picked them, so no error rate of the model follows.", *_state_lines(review, hint)]
    lines = [
        head,
        f"{total.rated} of {total.planned} items are rated, {total.errors} with an error ({total.error_rate:.2%}).",
    ]
    if total.HasField("upper_bound"):
        lines.append(f"The error rate is under {total.upper_bound:.2%}; wanted: under {limit}.")
    elif total.allowed_errors >= 0:
        lines.append(f"With {total.planned} items, up to {total.allowed_errors} errors show that it is under {limit}.")
    else:
        lines.append(f"{total.planned} items can't show {limit}; {total.sufficient_sample} without an error would.")
    if review.attempt.number > 1:
        lines.append(f"This set was reviewed before: {review.attempt.note}.")
    return [*lines, *_state_lines(review, hint)]


def _state_lines(review: curation_pb2.Review, hint: Callable[[str], str]) -> list[str]:
    """What is left to do, and how far reviewers agree."""
    total, lines = review.summary, list[str]()
    if review.HasField("settle_time") and review.state == curation_pb2.Review.OPEN:
        name = review.name.rsplit("/", 1)[-1]
        lines.append(f"All is rated; ratings can be changed until: {hint(f'review confirm {name}')}")
    if total.disagreements:
        lines.append(f"{total.disagreements} items wait for adjudication.")
    if total.HasField("agreement"):
        agreement = total.agreement
        lines.append(
            f"Agreement on {agreement.items} items: raw {agreement.raw:.1%}, kappa {agreement.kappa:.2f}, "
            f"AC1 {agreement.ac1:.2f}."
        )
    if total.HasField("self_agreement"):
        lines.append(
            f"Reviewers agree with themselves on {total.self_agreement:.1%} of {total.repeated} hidden repeats"
            + (f" (AC1 {total.self_agreement_ac1:.2f})." if total.HasField("self_agreement_ac1") else ".")
        )
    lines += [_stratum_line(one) for one in total.strata]
    if total.reviewer_kinds:
        lines.append(f"Reviewers: {', '.join(total.reviewer_kinds)}.")
    return lines


def _stratum_line(one: curation_pb2.ReviewStratum) -> str:
    by = f" of {one.review.rsplit('/', 1)[1]}, {one.mended} mended since" if one.review else ""
    of = f"{one.planned} planned, " if one.planned else ""
    return f"  {one.name:<8}{one.size} rows: {of}{one.rated} rated, {one.errors} with an error{by}"
