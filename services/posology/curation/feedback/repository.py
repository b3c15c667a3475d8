"""What users said of answers, in the database; every function works inside the caller's transaction."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, func, insert, select, update

from posology.core.store import Transaction, pages
from posology.curation.feedback.domain import ERASED, KIND, Mark, Thumb
from posology.curation.review.tables import feedback, items, reviews


async def mark(tx: Transaction, said: Mark) -> None:
    """Store a mark; a later one by the same author replaces the first, and the review that has the answer stays."""
    values = vars(said) | {"thumb": said.thumb.value}
    c = feedback.c
    mine = (c.answer == said.answer, c.author == said.author)
    kept = {name: value for name, value in values.items() if name != "review"}
    changed = await tx.execute(update(feedback).where(*mine).values(**kept))
    if changed.rowcount == 0:
        await tx.execute(insert(feedback).values(**values | {"review": await _review_of(tx, said.answer)}))


async def list_page(
    tx: Transaction, namespace: str, *, unreviewed: bool, size: int, token: str
) -> tuple[list[Mark], str]:
    """A page of marks, newest first, and the token of the next."""
    c = feedback.c
    query = select(feedback).where(c.namespace == namespace)
    query = query.where(c.review == "") if unreviewed else query
    scope = f"feedback/{namespace}/{unreviewed}"
    order = (c.at, c.answer, c.author)
    page = await pages.fetch(tx, query, order=order, size=size, token=token, scope=scope, descending=True)
    return [_mark(row) for row in page.rows], page.next_token


async def waiting(tx: Transaction, namespace: str, thumb: Thumb | None) -> list[str]:
    """Answers that no review has, those first that wait longest."""
    c = feedback.c
    query = select(c.answer).where(c.namespace == namespace, c.review == "")
    query = query.where(c.thumb == thumb.value) if thumb else query
    return [row.answer for row in await tx.execute(query.group_by(c.answer).order_by(func.min(c.at), c.answer))]


async def assign(tx: Transaction, answers: Sequence[str], review: str) -> bool:
    """Give these answers to a review; False, and nothing is done, where another one has taken some of them."""
    c = feedback.c
    query = select(c.answer).where(c.answer.in_(answers), c.review == "").with_for_update()
    if {row.answer for row in await tx.execute(query)} != {*answers}:
        return False
    await tx.execute(update(feedback).where(c.answer.in_(answers), c.review == "").values(review=review))
    return True


async def shown(tx: Transaction) -> list[str]:
    """Answers whose text lies in reviews, and those that somebody wrote something about."""
    in_reviews = (
        select(items.c.pair)
        .join(reviews, reviews.c.name == items.c.review)
        .where(reviews.c.kind == KIND, items.c.answer != ERASED)
    )
    commented = select(feedback.c.answer).where(feedback.c.comment != "")
    return [row[0] for row in await tx.execute(in_reviews.union(commented))]


async def erase(tx: Transaction, answers: Sequence[str]) -> None:
    """Take the text of these answers out of reviews, and what users wrote about them; ratings stay."""
    await tx.execute(update(items).where(items.c.pair.in_(answers)).values(question=ERASED, answer=ERASED))
    await tx.execute(update(feedback).where(feedback.c.answer.in_(answers)).values(comment="", has_text=False))


async def _review_of(tx: Transaction, answer: str) -> str:
    c = feedback.c
    row = (await tx.execute(select(c.review).where(c.answer == answer, c.review != "").limit(1))).first()
    return str(row.review) if row else ""


def _mark(row: RowMapping) -> Mark:
    fields = {name: row[name] for name in Mark.__dataclass_fields__ if name != "thumb"}
    return Mark(thumb=Thumb(row["thumb"]), **fields)
