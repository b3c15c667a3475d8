"""What attempts of a service used of each endpoint; rows outlive jobs, so that a deleted run gives no budget back."""

from sqlalchemy import and_, func, insert, not_, select, update

from posology.core.jobs.service.tables import model_usage
from posology.core.model_endpoints.domain import Usage
from posology.core.store import Transaction, now


async def record(tx: Transaction, endpoint: str, job: str, attempt: int, usage: Usage) -> None:
    """Set what an attempt used so far; what it said before can only grow."""
    c = model_usage.c
    mine = and_(c.endpoint == endpoint, c.job == job, c.attempt == attempt)
    row = (await tx.execute(select(c.prompt_tokens, c.completion_tokens).where(mine))).first()
    values = {
        "prompt_tokens": max(usage.prompt_tokens, row[0] if row else 0),
        "completion_tokens": max(usage.completion_tokens, row[1] if row else 0),
        "updated_at": await now(tx),
    }
    if row:
        await tx.execute(update(model_usage).where(mine).values(**values))
    else:
        await tx.execute(insert(model_usage).values(endpoint=endpoint, job=job, attempt=attempt, **values))


async def used(tx: Transaction, endpoint: str, *, but: tuple[str, int] | None = None) -> Usage:
    """What all attempts used of an endpoint; `but` leaves one attempt (job, number) out."""
    c = model_usage.c
    query = select(func.coalesce(func.sum(c.prompt_tokens), 0), func.coalesce(func.sum(c.completion_tokens), 0)).where(
        c.endpoint == endpoint
    )
    if but is not None:
        query = query.where(not_(and_(c.job == but[0], c.attempt == but[1])))
    prompt, completion = (await tx.execute(query)).one()
    return Usage(int(prompt), int(completion))
