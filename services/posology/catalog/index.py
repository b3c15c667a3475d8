"""The index in the database: register, read, walk, hold, withdraw, forget."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update

from posology.catalog.domain import Artifact, Withdrawal
from posology.catalog.tables import artifacts, edges, namespace_withdrawals, pins, withdrawals
from posology.core.errors import NotFound
from posology.core.store import Transaction, now, pages

_MOST_VARIABLES = 500
"""Of one statement."""


async def register(tx: Transaction, artifact: Artifact) -> tuple[Artifact, bool]:
    """Enter an artifact and its edges; the first entry of a digest stays. True if it is new."""
    if existing := await _find(tx, artifact.namespace, artifact.digest):
        return existing, False
    stored = replace(artifact, created=await now(tx))
    row = {k: v for k, v in vars(stored).items() if k not in ("parents", "pins")}
    await tx.execute(insert(artifacts).values(**row))
    # Edges outlive what was collected, so the same artifact may find its own when it comes again.
    left = select(edges.c.parent).where(edges.c.namespace == stored.namespace, edges.c.child == stored.digest)
    known = set((await tx.execute(left)).scalars())
    links = [
        {"namespace": stored.namespace, "child": stored.digest, "parent": parent}
        for parent in dict.fromkeys(stored.parents)
        if parent not in known
    ]
    if links:
        await tx.execute(insert(edges), links)
    return stored, True


async def foreign(tx: Transaction, namespace: str, digests: Iterable[str]) -> list[str]:
    """Digests that other namespaces list and this one never did; what was collected here was here (its edges stay).

    A digest that nobody lists is not foreign: it is gone, or was published before it was listed.
    """
    digests = list(digests)
    anywhere = set((await tx.execute(select(artifacts.c.digest).where(artifacts.c.digest.in_(digests)))).scalars())
    listed = select(artifacts.c.digest).where(artifacts.c.namespace == namespace, artifacts.c.digest.in_(digests))
    made = select(edges.c.child).where(edges.c.namespace == namespace, edges.c.child.in_(digests))
    used = select(edges.c.parent).where(edges.c.namespace == namespace, edges.c.parent.in_(digests))
    here = set((await tx.execute(listed.union(made, used))).scalars())
    return [digest for digest in digests if digest in anywhere and digest not in here]


async def get(tx: Transaction, namespace: str, digest: str) -> Artifact:
    """One artifact; NotFound names it."""
    artifact = await _find(tx, namespace, digest)
    if artifact is None:
        raise NotFound(f"there is no artifact {digest} in namespace {namespace}")
    return artifact


async def list_page(tx: Transaction, namespace: str, *, kind: str, size: int, token: str) -> tuple[list[Artifact], str]:
    """A page of artifacts, newest first."""
    query = select(artifacts).where(artifacts.c.namespace == namespace)
    query = query.where(artifacts.c.kind == kind) if kind else query
    order = (artifacts.c.created, artifacts.c.digest)
    scope = f"{namespace}/{kind}"
    page = await pages.fetch(tx, query, order=order, size=size, token=token, scope=scope, descending=True)
    return [await _whole(tx, row) for row in page.rows], page.next_token


async def trace(tx: Transaction, start: Artifact, *, up: bool) -> list[Artifact]:
    """The artifact, then what stands behind it (up) or was made from it (down), nearest first."""
    here, there = (edges.c.child, edges.c.parent) if up else (edges.c.parent, edges.c.child)
    walked, known, layer = [start], {start.digest}, [start.digest]
    while layer:
        query = select(there).where(edges.c.namespace == start.namespace, here.in_(layer)).order_by(there)
        layer = [d for d in dict.fromkeys((await tx.execute(query)).scalars()) if d not in known]
        known.update(layer)
        for digest in layer:
            # A parent may be unknown here: pushed elsewhere, or collected. Its digest is still evidence.
            walked.append(await _find(tx, start.namespace, digest) or _unknown(start.namespace, digest))
    return walked


async def pin(tx: Transaction, artifact: Artifact, holder: str) -> None:
    """Hold an artifact; a second time changes nothing."""
    if holder not in artifact.pins:
        row = {"namespace": artifact.namespace, "digest": artifact.digest, "holder": holder, "created": await now(tx)}
        await tx.execute(insert(pins).values(**row))


async def unpin(tx: Transaction, artifact: Artifact, holder: str) -> None:
    """Let go."""
    here = (pins.c.namespace == artifact.namespace, pins.c.digest == artifact.digest, pins.c.holder == holder)
    await tx.execute(delete(pins).where(*here))


async def quarantine(tx: Transaction, artifact: Artifact, reason: str, *, everywhere: bool) -> None:
    """Withdraw an artifact, in all namespaces or in its own."""
    here = (artifacts.c.namespace == artifact.namespace, artifacts.c.digest == artifact.digest)
    await tx.execute(update(artifacts).where(*here).values(quarantine_reason=reason))
    await withdraw(
        tx, artifact.digest, kind=artifact.kind, reason=reason, namespace="" if everywhere else artifact.namespace
    )


async def listed_elsewhere(tx: Transaction, artifact: Artifact) -> bool:
    """Whether another namespace lists, or made something from, the same digest."""
    others = artifacts.c.namespace != artifact.namespace
    listed = select(artifacts.c.digest).where(artifacts.c.digest == artifact.digest, others).limit(1)
    used = edges.c.namespace != artifact.namespace
    either = (edges.c.parent == artifact.digest) | (edges.c.child == artifact.digest)
    known = select(edges.c.child).where(either, used).limit(1)
    return (await tx.execute(listed)).first() is not None or (await tx.execute(known)).first() is not None


async def made_elsewhere(tx: Transaction, namespace: str, kinds: Iterable[str]) -> list[str]:
    """Digests of what runs of other namespaces made, of these kinds."""
    c = artifacts.c
    query = select(c.digest).where(c.namespace != namespace, c.kind.in_(tuple(kinds))).distinct()
    children = select(edges.c.child).where(edges.c.namespace == c.namespace)
    return list((await tx.execute(query.where(c.digest.in_(children)))).scalars())


async def withdraw(tx: Transaction, digest: str, *, kind: str, reason: str, namespace: str = "") -> Withdrawal:
    """Withdraw a digest, whether an artifact has it or not, in one namespace or in all; the first withdrawal stays."""
    if namespace:
        return await _withdraw_in(tx, namespace, digest, kind=kind, reason=reason)
    known = (await tx.execute(select(withdrawals).where(withdrawals.c.digest == digest))).mappings().first()
    if known is not None:
        return Withdrawal(**known)
    good = (artifacts.c.digest == digest, artifacts.c.quarantine_reason == "")
    await tx.execute(update(artifacts).where(*good).values(quarantine_reason=reason))
    last = (await tx.execute(select(func.max(withdrawals.c.number)))).scalar()
    withdrawal = Withdrawal((last or 0) + 1, digest, kind, reason, await now(tx))
    row = {name: value for name, value in vars(withdrawal).items() if name != "namespace"}
    await tx.execute(insert(withdrawals).values(**row))
    return withdrawal


async def _withdraw_in(tx: Transaction, namespace: str, digest: str, *, kind: str, reason: str) -> Withdrawal:
    c = namespace_withdrawals.c
    query = select(namespace_withdrawals).where(c.namespace == namespace, c.digest == digest)
    if known := (await tx.execute(query)).mappings().first():
        return Withdrawal(0, **known)
    withdrawal = Withdrawal(0, digest, kind, reason, await now(tx), namespace)
    row = {name: value for name, value in vars(withdrawal).items() if name != "number"}
    await tx.execute(insert(namespace_withdrawals).values(**row))
    return withdrawal


async def all_withdrawals(tx: Transaction) -> list[Withdrawal]:
    """Every withdrawal: those of one namespace, then those of the installation in order of their numbers."""
    rows = (await tx.execute(select(withdrawals).order_by(withdrawals.c.number))).mappings()
    listed = [Withdrawal(**row) for row in rows]
    c = artifacts.c
    old = (c.quarantine_reason != "", c.digest.not_in(select(withdrawals.c.digest)), ~_withdrawn_in_its_own())
    columns = (c.digest, c.kind, c.quarantine_reason, c.created)
    before = (await tx.execute(select(*columns).where(*old).order_by(c.digest))).all()
    order = (namespace_withdrawals.c.digest, namespace_withdrawals.c.namespace)
    scoped = (await tx.execute(select(namespace_withdrawals).order_by(*order))).mappings()
    return [*(Withdrawal(0, **row) for row in scoped), *(Withdrawal(0, *row) for row in before), *listed]


def _withdrawn_in_its_own() -> ColumnElement[bool]:
    """Whether an artifact's namespace withdrew it for itself alone."""
    c = namespace_withdrawals.c
    own = (c.namespace == artifacts.c.namespace, c.digest == artifacts.c.digest)
    return select(c.digest).where(*own).exists()


async def resting_on(tx: Transaction, digests: Iterable[str], *, namespace: str = "") -> list[tuple[str, str, str]]:
    """Digest, kind and cause of everything that any namespace, or one, made from these digests, collected or not."""
    known: dict[str, tuple[str, str]] = {digest: ("", digest) for digest in digests}
    made, layer = [], list(known)
    while layer:
        following = []
        for start in range(0, len(layer), _MOST_VARIABLES):
            query = select(edges.c.child, edges.c.parent, artifacts.c.kind).select_from(
                edges.outerjoin(
                    artifacts,
                    (artifacts.c.namespace == edges.c.namespace) & (artifacts.c.digest == edges.c.child),
                )
            )
            query = query.where(edges.c.namespace == namespace) if namespace else query
            query = query.where(edges.c.parent.in_(layer[start : start + _MOST_VARIABLES])).order_by(
                edges.c.child, edges.c.parent
            )
            for child, parent, kind in (await tx.execute(query)).all():
                if child not in known:
                    known[child] = (kind or "artifact", known[parent][1])
                    made.append((child, *known[child]))
                    following.append(child)
        layer = following
    return made


async def find_withdrawals(tx: Transaction, digests: Iterable[str], *, namespace: str = "") -> list[Withdrawal]:
    """Withdrawals of the digests and of all that any namespace knows behind them, also of what was collected; of those
    that one namespace made for itself only that namespace's, or all where none is named."""
    layer = list(dict.fromkeys(digests))
    behind = set(layer)
    while layer:
        parents = (await tx.execute(select(edges.c.parent).where(edges.c.child.in_(layer)))).scalars()
        layer = [digest for digest in dict.fromkeys(parents) if digest not in behind]
        behind.update(layer)
    query = select(withdrawals).where(withdrawals.c.digest.in_(behind)).order_by(withdrawals.c.number)
    listed = [Withdrawal(**row) for row in (await tx.execute(query)).mappings()]
    c = namespace_withdrawals.c
    scoped = select(namespace_withdrawals).where(c.digest.in_(behind)).order_by(c.digest, c.namespace)
    scoped = scoped.where(c.namespace == namespace) if namespace else scoped
    of_one = [Withdrawal(0, **row) for row in (await tx.execute(scoped)).mappings()]
    return [*of_one, *await _withdrawn_before(tx, behind - {one.digest for one in listed}), *listed]


async def _withdrawn_before(tx: Transaction, digests: Iterable[str]) -> list[Withdrawal]:
    """What was withdrawn in one namespace before withdrawals had numbers; 0 is the number of all of them."""
    columns = (artifacts.c.digest, artifacts.c.kind, artifacts.c.quarantine_reason, artifacts.c.created)
    old = (artifacts.c.digest.in_(digests), artifacts.c.quarantine_reason != "", ~_withdrawn_in_its_own())
    rows = (await tx.execute(select(*columns).where(*old).order_by(artifacts.c.digest))).all()
    return list({row.digest: Withdrawal(0, *row) for row in rows}.values())


async def held(tx: Transaction) -> set[str]:
    """Digests, in all namespaces, that a pin holds, with everything that they were made from."""
    pinned = select(pins.c.namespace, pins.c.digest).cte("held", recursive=True)
    parents = select(edges.c.namespace, edges.c.parent).join(
        pinned, (edges.c.namespace == pinned.c.namespace) & (edges.c.child == pinned.c.digest)
    )
    walk = pinned.union(parents)
    return set((await tx.execute(select(walk.c.digest))).scalars())


async def expendable(tx: Transaction, namespace: str, *, older_than_seconds: int) -> list[Artifact]:
    """Artifacts of the namespace, old enough, that nothing holds."""
    before = await now(tx) - timedelta(seconds=older_than_seconds)
    query = select(artifacts).where(artifacts.c.namespace == namespace, artifacts.c.created <= before)
    keep = await held(tx)
    rows = (await tx.execute(query)).mappings().all()
    return [await _whole(tx, row) for row in rows if row["digest"] not in keep]


async def everywhere(tx: Transaction) -> set[str]:
    """Every digest that some namespace still lists."""
    return set((await tx.execute(select(artifacts.c.digest))).scalars())


async def forget(tx: Transaction, gone: Iterable[Artifact]) -> None:
    """Remove entries; edges stay, because lineage outlives bytes."""
    for artifact in gone:
        here = (artifacts.c.namespace == artifact.namespace, artifacts.c.digest == artifact.digest)
        await tx.execute(delete(artifacts).where(*here))


async def _find(tx: Transaction, namespace: str, digest: str) -> Artifact | None:
    query = select(artifacts).where(artifacts.c.namespace == namespace, artifacts.c.digest == digest)
    row = (await tx.execute(query)).mappings().first()
    return await _whole(tx, row) if row else None


async def _whole(tx: Transaction, row: RowMapping) -> Artifact:
    here = {"namespace": row["namespace"], "digest": row["digest"]}
    parents = select(edges.c.parent).where(edges.c.namespace == here["namespace"], edges.c.child == here["digest"])
    holders = select(pins.c.holder).where(pins.c.namespace == here["namespace"], pins.c.digest == here["digest"])
    return Artifact(
        **row,
        parents=tuple((await tx.execute(parents.order_by(edges.c.parent))).scalars()),
        pins=tuple((await tx.execute(holders.order_by(pins.c.holder))).scalars()),
    )


def _unknown(namespace: str, digest: str) -> Artifact:
    return Artifact(namespace, digest, "unknown", 0, (), "", {})
