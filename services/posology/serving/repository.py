"""Deployments and replicas in the database: rows <-> domain."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import RowMapping

from posology.core.errors import NotFound
from posology.core.names import EVERY
from posology.core.store import Transaction, pages
from posology.serving.domain import Autoscaling, Deployment, Goal, Plan, Replica, ReplicaState, Rollout, Scale, State
from posology.serving.tables import deployments, replicas

_ENDED = (State.STOPPED, State.FAILED)


async def find(tx: Transaction, *, namespace: str, deployment_id: str) -> Deployment | None:
    row = (await tx.execute(select(deployments).where(*_key(namespace, deployment_id)))).mappings().first()
    return None if row is None else _deployment(row)


async def get(tx: Transaction, *, namespace: str, deployment_id: str) -> Deployment:
    """The deployment; NotFound says how to see those that exist."""
    deployment = await find(tx, namespace=namespace, deployment_id=deployment_id)
    if deployment is None:
        raise NotFound(
            f'no deployment "{deployment_id}" in namespace "{namespace}"; list the deployments to see its name'
        )
    return deployment


async def of_request(tx: Transaction, *, namespace: str, request_id: str) -> Deployment | None:
    """What an earlier request of this id made."""
    if not request_id:
        return None
    mine = (deployments.c.namespace == namespace, deployments.c.request_id == request_id)
    row = (await tx.execute(select(deployments).where(*mine))).mappings().first()
    return None if row is None else _deployment(row)


async def list_page(tx: Transaction, *, namespace: str, size: int, token: str) -> tuple[list[Deployment], str]:
    """Newest first, and the token of the next page; `-` is every namespace."""
    query = select(deployments)
    query = query.where(deployments.c.namespace == namespace) if namespace != EVERY else query
    order = (deployments.c.created_at, deployments.c.id)
    page = await pages.fetch(
        tx, query, order=order, size=size, token=token, scope=f"deployments {namespace}", descending=True
    )
    return [_deployment(row) for row in page.rows], page.next_token


async def live(tx: Transaction) -> list[Deployment]:
    """All that serve, are about to, or still have engines to stop."""
    unfinished = select(replicas.c.deployment)
    name = "namespaces/" + deployments.c.namespace + "/deployments/" + deployments.c.id
    query = select(deployments).where(deployments.c.state.not_in(_ENDED) | name.in_(unfinished))
    return [_deployment(row) for row in (await tx.execute(query)).mappings()]


async def served_before(tx: Transaction, leaving: Deployment) -> list[Deployment]:
    """Deployments of the same model name that were ready once, the last one asked for first."""
    query = (
        select(deployments)
        .where(deployments.c.namespace == leaving.namespace, deployments.c.id != leaving.id)
        .where(deployments.c.ready_at.is_not(None))
        .order_by(deployments.c.asked_at.desc())
    )
    served = [_deployment(row) for row in (await tx.execute(query)).mappings()]
    return [d for d in served if d.plan.model_name == leaving.plan.model_name]


async def add(tx: Transaction, deployment: Deployment, *, request_id: str) -> None:
    await tx.execute(insert(deployments).values(**_row(deployment), request_id=request_id or None))


async def save(tx: Transaction, deployment: Deployment) -> None:
    """Everything but its scale, which changes at other times and by another hand."""
    key = _key(deployment.namespace, deployment.id)
    await tx.execute(update(deployments).where(*key).values(**_row(deployment)))


async def save_scale(tx: Transaction, deployment: Deployment, scale: Scale) -> None:
    key = _key(deployment.namespace, deployment.id)
    await tx.execute(update(deployments).where(*key).values(scale=asdict(scale)))


async def all_replicas(tx: Transaction) -> list[Replica]:
    rows = (await tx.execute(select(replicas).order_by(replicas.c.id))).mappings()
    return [Replica(**{**row, "state": ReplicaState(row["state"])}) for row in rows]


async def count_by_state(tx: Transaction) -> dict[str, int]:
    """How many deployments there are in each state, ended ones too."""
    query = select(deployments.c.state, func.count().label("number")).group_by(deployments.c.state)
    return {row.state: row.number for row in await tx.execute(query)}


async def count_ready(tx: Transaction, names: Sequence[str]) -> dict[str, int]:
    """How many engines of each deployment answer; those that are told to go don't count."""
    answering = [r for r in await all_replicas(tx) if r.answers and r.deployment in names]
    return {name: sum(1 for r in answering if r.deployment == name) for name in names}


async def put_replica(tx: Transaction, replica: Replica) -> None:
    """Insert or replace."""
    await drop_replica(tx, replica.id)
    await tx.execute(insert(replicas).values(**{**asdict(replica), "state": str(replica.state)}))


async def drop_replica(tx: Transaction, replica_id: str) -> None:
    await tx.execute(delete(replicas).where(replicas.c.id == replica_id))


def _key(namespace: str, deployment_id: str) -> tuple[Any, Any]:
    return deployments.c.namespace == namespace, deployments.c.id == deployment_id


def _row(deployment: Deployment) -> dict[str, Any]:
    kept = [c.name for c in deployments.c if c.name not in ("request_id", "plan", "autoscaling", "scale")]
    plain = {name: getattr(deployment, name) for name in kept}
    texts = {"goal": str(deployment.goal), "state": str(deployment.state), "engine": dict(deployment.engine)}
    plan = {**asdict(deployment.plan), "canary": list(deployment.plan.canary), "rollout": str(deployment.plan.rollout)}
    # In a column of its own, so that older code can read the plan.
    autoscaling = plan.pop("autoscaling")
    return {**plain, **texts, "plan": plan, "autoscaling": autoscaling}


def _deployment(row: RowMapping) -> Deployment:
    fields = {name: value for name, value in row.items() if name not in ("request_id", "autoscaling")}
    read = {"goal": Goal(row["goal"]), "state": State(row["state"]), "scale": row["scale"] and Scale(**row["scale"])}
    read["policy"] = row["policy"] or ""
    return Deployment(**{**fields, **read, "plan": _plan(row)})


def _plan(row: RowMapping) -> Plan:
    rule = row["autoscaling"] and Autoscaling(**row["autoscaling"])
    read = {"canary": tuple(row["plan"]["canary"]), "rollout": Rollout(row["plan"]["rollout"]), "autoscaling": rule}
    return Plan(**{**row["plan"], **read})
