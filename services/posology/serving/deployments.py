"""What callers may ask of deployments; every change leaves its audit entry in the same transaction."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from posology.core import audit
from posology.core.errors import AlreadyExists, Conflict, FailedPrecondition, PermissionDenied
from posology.core.notifications import Signal
from posology.core.rpc import context
from posology.core.rpc.context import Kind
from posology.core.rpc.impersonation import check_second_person, same_person
from posology.core.store import Database, Transaction, is_duplicate, now
from posology.serving import repository
from posology.serving.domain import Deployment, DeploymentRequest, Goal, State
from posology.serving.failures import Failures
from posology.serving.release import Released, Releaser
from posology.serving.withdrawals import Withdrawals


class Deployments:
    """Creates, reads and moves deployments; the controller makes them true."""

    def __init__(
        self, db: Database, releaser: Releaser, withdrawals: Withdrawals, failures: Failures, wake: Signal
    ) -> None:
        self._db = db
        self._releaser = releaser
        self._withdrawals = withdrawals
        self._failures = failures
        self._wake = wake

    async def create(self, request: DeploymentRequest, *, actor: str, validate_only: bool) -> Deployment:
        """Release and deploy, or refuse; a repeated request id returns what the first one made."""
        async with self._db.read() as tx:
            known = await self._known(tx, request)
        if known is not None:
            return known
        await self._withdrawals.check(request.namespace, request.model, request.verdict)
        verdict = await asyncio.to_thread(self._releaser.check, request)
        await self._failures.check(request.namespace, request.model)
        check_releaser(verdict.predicate.submitter, request)
        if validate_only:
            return await self._draft(request, Released(verdict, request.verdict if ":" in request.verdict[:7] else ""))
        released = await asyncio.to_thread(self._releaser.release, request)
        await self._withdrawals.check(
            request.namespace, request.model, released.verdict_digest
        )  # the verdict that was looked up
        draft = await self._draft(request, released)
        async with self._db.begin() as tx:
            if (known := await self._known(tx, request)) is not None:
                return known
            await _add(tx, draft, request)
            await audit.append(tx, actor=actor, action="CreateDeployment", subject=draft.name, detail=_released(draft))
        self._wake.notify()
        return draft

    async def get(self, namespace: str, deployment_id: str) -> tuple[Deployment, int]:
        """The deployment and how many of its engines answer."""
        async with self._db.read() as tx:
            deployment = await repository.get(tx, namespace=namespace, deployment_id=deployment_id)
            return deployment, (await repository.count_ready(tx, [deployment.name]))[deployment.name]

    async def list_page(self, namespace: str, *, size: int, token: str) -> tuple[list[tuple[Deployment, int]], str]:
        async with self._db.read() as tx:
            listed, following = await repository.list_page(tx, namespace=namespace, size=size, token=token)
            ready = await repository.count_ready(tx, [d.name for d in listed])
        return [(d, ready[d.name]) for d in listed], following

    async def delete(self, namespace: str, deployment_id: str, *, actor: str) -> Deployment:
        """Drain and stop; doing it again changes nothing. What is left takes all traffic, so whoever had that evaluated
        may not bring it about."""
        await self._check_heirs(namespace, deployment_id)
        async with self._db.begin() as tx:
            deployment = await repository.get(tx, namespace=namespace, deployment_id=deployment_id)
            if deployment.goal is Goal.STOP:
                return deployment
            leaving = replace(deployment, goal=Goal.STOP, state=State.DRAINING, traffic=0, reason=f"deleted by {actor}")
            await self._change(tx, leaving, actor=actor, action="DeleteDeployment")
        self._wake.notify()
        return leaving

    async def promote(self, namespace: str, deployment_id: str, *, actor: str) -> Deployment:
        """Give it all traffic of its model name; FailedPrecondition unless it answers, and may still be released."""
        async with self._db.read() as tx:
            ready = await repository.get(tx, namespace=namespace, deployment_id=deployment_id)
        await self._check_again(ready)
        async with self._db.begin() as tx:
            deployment = await repository.get(tx, namespace=namespace, deployment_id=deployment_id)
            if deployment.goal is not Goal.SERVE or deployment.state is not State.READY:
                raise FailedPrecondition(
                    f"{deployment.name} is {deployment.state} ({deployment.reason}); only READY can be promoted"
                )
            promoted = replace(deployment, promoted=True, asked_at=await now(tx))
            await self._change(tx, promoted, actor=actor, action="PromoteDeployment")
        self._wake.notify()
        return promoted

    async def roll_back(self, namespace: str, deployment_id: str, *, actor: str) -> Deployment:
        """Serve again what the model name served before `deployment_id`; that one is returned.

        Where it still answers (a canary), it takes all traffic at once; else it starts, and takes over when
        it is ready. Its verdict must still verify, and nothing behind it may have been withdrawn.
        """
        async with self._db.read() as tx:
            leaving = await repository.get(tx, namespace=namespace, deployment_id=deployment_id)
            earlier = await _earlier(tx, leaving)
        await self._check_again(earlier)
        async with self._db.begin() as tx:
            earlier = await repository.get(tx, namespace=namespace, deployment_id=earlier.id)
            back = replace(earlier, goal=Goal.SERVE, promoted=True, asked_at=await now(tx))
            if earlier.goal is Goal.STOP:
                back = replace(back, state=State.PENDING, reason=f"rolled back to from {leaving.id}", step_at=None)
            await self._change(tx, back, actor=actor, action="RollBackDeployment", detail={"from": leaving.name})
        self._wake.notify()
        return back

    async def _check_heirs(self, namespace: str, deployment_id: str) -> None:
        caller = context.caller.get()
        if caller.kind is not Kind.USER:
            return
        async with self._db.read() as tx:
            leaving = await repository.get(tx, namespace=namespace, deployment_id=deployment_id)
            heirs = [d for d in await repository.live(tx) if _same_name(d, _again(leaving)) and d.id != leaving.id]
        for heir in heirs:
            waits = heir.goal is Goal.SERVE and not heir.promoted and heir.traffic < 100
            submitter = await asyncio.to_thread(self._releaser.submitter, _again(heir)) if waits else ""
            if waits and same_person(submitter, caller.subject):
                raise PermissionDenied(
                    f"without {leaving.name}, {heir.name} would take all traffic, which {submitter} had evaluated; "
                    "somebody else must delete it"
                )

    async def _check_again(self, deployment: Deployment) -> None:
        """What let it in must still let it in, and this caller must be one who may release it."""
        await self._withdrawals.check(deployment.namespace, deployment.model, deployment.verdict)
        verdict = await asyncio.to_thread(self._releaser.check, _again(deployment))
        await self._failures.check(deployment.namespace, deployment.model)
        check_releaser(verdict.predicate.submitter, _again(deployment))

    async def _known(self, tx: Transaction, request: DeploymentRequest) -> Deployment | None:
        """What this request made before; AlreadyExists when its name belongs to something else."""
        known = await repository.of_request(tx, namespace=request.namespace, request_id=request.request_id)
        if known is not None:
            return known
        taken = await repository.find(tx, namespace=request.namespace, deployment_id=request.id)
        if taken is not None:
            raise AlreadyExists(
                f"{taken.name} exists already ({taken.state}, {taken.model}); choose another id: "
                f'a new deployment with the model name "{taken.plan.model_name}" takes over from it'
            )
        return None

    async def _draft(self, request: DeploymentRequest, released: Released) -> Deployment:
        async with self._db.read() as tx:
            moment = await now(tx)
            before = [d for d in await repository.live(tx) if _same_name(d, request) and d.traffic]
        return Deployment(
            id=request.id,
            namespace=request.namespace,
            model=request.model,
            verdict=released.verdict_digest,
            plan=request.plan,
            engine=released.verdict.engine.to_dict(),
            created_at=moment,
            asked_at=moment,
            run=request.run or released.verdict.predicate.run,
            dataset=released.verdict.predicate.dataset,
            reason=f"admitted: the verdict is PASS, verifies and meets the release policy {released.verdict.policy}",
            policy=released.verdict.policy,
            replaced=max(before, key=lambda d: d.traffic).id if before else "",
            token=secrets.token_urlsafe(32),
        )

    async def _change(
        self,
        tx: Transaction,
        deployment: Deployment,
        *,
        actor: str,
        action: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        await repository.save(tx, deployment)
        await audit.append(tx, actor=actor, action=action, subject=deployment.name, detail=detail or {})


def check_releaser(submitter: str, request: DeploymentRequest) -> None:
    """Where users are told apart, whoever had the weights evaluated releases them by no call of their own."""
    caller = context.caller.get()
    if caller.kind is Kind.USER:
        check_second_person(submitter, f"release {request.model} as {request.plan.model_name}")


async def _add(tx: Transaction, draft: Deployment, request: DeploymentRequest) -> None:
    """Conflict when another process added the same name in this very moment."""
    try:
        await repository.add(tx, draft, request_id=request.request_id)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise Conflict(f"{draft.name} is being created by somebody else; ask again") from error


async def _earlier(tx: Transaction, leaving: Deployment) -> Deployment:
    """What was served before: the one it replaced, or else the one asked for last before it."""
    predecessors = await repository.served_before(tx, leaving)
    for deployment in predecessors:
        if deployment.id == leaving.replaced:
            return deployment
    if not predecessors:
        raise FailedPrecondition(
            f'"{leaving.plan.model_name}" served nothing before {leaving.name}; there is no way back'
        )
    return predecessors[0]


def _again(earlier: Deployment) -> DeploymentRequest:
    return DeploymentRequest(
        earlier.namespace, earlier.id, earlier.model, earlier.verdict, earlier.plan, earlier.engine
    )


def _same_name(deployment: Deployment, request: DeploymentRequest) -> bool:
    return (deployment.namespace, deployment.plan.model_name) == (request.namespace, request.plan.model_name)


def _released(deployment: Deployment) -> dict[str, Any]:
    return {
        "model": deployment.model,
        "verdict": deployment.verdict,
        "modelName": deployment.plan.model_name,
        "engine": dict(deployment.engine),
        "run": deployment.run,
        "policy": deployment.policy,
    }
