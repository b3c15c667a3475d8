"""Counting: every evaluation that was published is a use of its suites by its root and model name, looked at or not.

Whoever scored the same weights under another name has seen their scores: those uses count here as well.
"""

from sqlalchemy import func, select

from posology.core.store import Transaction, now
from posology.evaluation import tables
from posology.evaluation.domain import Policy
from posology.evaluation.origins import Origin


async def count(
    tx: Transaction, evaluation: str, policy: Policy, origin: Origin, *, namespace: str, model_name: str
) -> dict[str, int]:
    """Number of the try by name of suite, from 1; a repeated call gives the first answer."""
    numbers = {}
    for suite in policy.suites:
        known = await number_of(tx, evaluation, suite.digest)
        numbers[suite.name] = known or await _next(tx, suite.digest, origin, namespace, model_name)
        if known is None:
            row = {
                "evaluation": evaluation,
                "suite": suite.digest,
                "root": origin.root,
                "namespace": namespace,
                "model_name": model_name,
                "weights": origin.weights,
                "number": numbers[suite.name],
                "created": await now(tx),
            }
            await tx.execute(tables.suite_tries.insert().values(**row))
    return numbers


async def expected(tx: Transaction, suite: str, *, namespace: str, model_name: str, root: str = "") -> int:
    """The number that the next try will have at least; without a root the largest of any, so that nothing looks
    cheaper than it is. Weights that were scored under another name may make it more."""
    c = tables.suite_tries.c
    used = select(func.max(c.number)).where(c.suite == suite, c.namespace == namespace, c.model_name == model_name)
    used = used.where(c.root == root) if root else used
    return ((await tx.execute(used)).scalar() or 0) + 1


async def number_of(tx: Transaction, evaluation: str, suite: str) -> int | None:
    """The number that a try was given; None if it was not counted yet."""
    c = tables.suite_tries.c
    query = select(c.number).where(c.evaluation == evaluation, c.suite == suite)
    return (await tx.execute(query)).scalar()


async def _next(tx: Transaction, suite: str, origin: Origin, namespace: str, model_name: str) -> int:
    c = tables.suite_tries.c
    used = select(func.max(c.number)).where(c.suite == suite, c.root == origin.root)
    own = (await tx.execute(used.where(c.namespace == namespace, c.model_name == model_name))).scalar() or 0
    elsewhere = (
        select(c.namespace, c.model_name)
        .where(c.suite == suite, c.root == origin.root, c.weights == origin.weights)
        .distinct()
    )
    most = 0
    for row in (await tx.execute(elsewhere)).all():
        if (row.namespace, row.model_name) != (namespace, model_name):
            query = used.where(c.namespace == row.namespace, c.model_name == row.model_name)
            most = max(most, (await tx.execute(query)).scalar() or 0)
    return max(own + 1, most)
