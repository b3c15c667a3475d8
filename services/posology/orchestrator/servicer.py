"""The Orchestrator service: decode, delegate, encode."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from posology.core import audit, names
from posology.core.errors import FailedPrecondition, InvalidInput, Violation
from posology.core.rpc import context
from posology.core.rpc.impersonation import check_second_person
from posology.core.store import Database
from posology.orchestrator import convert, repository
from posology.orchestrator.admission import admit
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Run
from posology.orchestrator.reconciler import Reconciler
from posology.orchestrator.stages.deploy import needs_approval
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1 import orchestrator_pb2_grpc

_LOOK_SECONDS = 0.3
"""How often a watch stream looks for news; transitions are far apart."""


class OrchestratorServicer(orchestrator_pb2_grpc.OrchestratorServicer):
    """Runs over gRPC."""

    def __init__(
        self, db: Database, clients: Clients, reconciler: Reconciler, *, users_are_known: bool = False
    ) -> None:
        self._db = db
        self._clients = clients
        self._reconciler = reconciler
        self._users_are_known = users_are_known

    async def CreateRun(self, request: pb.CreateRunRequest, _: Any) -> pb.FineTuneRun:
        """Admit a run; the spec is stored with every default."""
        actor = context.caller.get().subject
        await admit(self._clients, request)
        run = convert.run_from_request(request, creator=actor, at=datetime.now(UTC))
        run = replace(run, traceparent=context.place().header())
        if request.validate_only:
            return convert.run_to_proto(run)
        async with self._db.begin() as tx:
            stored = await repository.create(tx, run)
            if stored.uid == run.uid:
                detail = {"spec_sha256": run.spec_sha256}
                await audit.append(tx, actor=actor, action="run.create", subject=run.name, detail=detail)
        self._reconciler.wake.notify()
        return convert.run_to_proto(stored)

    async def GetRun(self, request: pb.GetRunRequest, _: Any) -> pb.FineTuneRun:
        """Read one run."""
        return convert.run_to_proto(await self._read(request.name))

    async def ListRuns(self, request: pb.ListRunsRequest, _: Any) -> pb.ListRunsResponse:
        """A page of runs, newest first."""
        namespace = names.namespace_of_parent(request.parent, every=True)
        async with self._db.read() as tx:
            page, token = await repository.list_page(tx, namespace, size=request.page_size, token=request.page_token)
        return pb.ListRunsResponse(runs=[convert.run_to_proto(run) for run in page], next_page_token=token)

    async def WatchRun(self, request: pb.WatchRunRequest, _: Any) -> AsyncIterator[pb.RunEvent]:
        """The run's history from the token on, until it ends or the server drains."""
        sequence = convert.sequence_from(request.resume_token)
        run = await self._read(request.name)
        while True:
            ended = run.phase.ended
            async with self._db.read() as tx:
                rows = await repository.events_after(tx, run.uid, sequence)
            run = await self._read(request.name)  # behind its events, so that none is sent with a run from before it
            for row in rows:
                sequence = row["sequence"]
                yield convert.event_to_proto(dict(row), run)
            if (ended and not rows) or await context.pause(_LOOK_SECONDS):
                return

    async def CancelRun(self, request: pb.CancelRunRequest, _: Any) -> pb.FineTuneRun:
        """Ask a run to end; a run that ended stays as it is."""
        actor = context.caller.get().subject
        async with self._db.begin() as tx:
            run = await repository.get(tx, *_run_id(request.name))
            if not run.phase.ended:
                reason = request.reason or f"by {actor}"
                await repository.request_cancel(tx, run, reason)
                await audit.append(tx, actor=actor, action="run.cancel", subject=run.name, detail={"reason": reason})
        self._reconciler.wake.notify()
        return convert.run_to_proto(await self._read(request.name))

    async def DecideApproval(self, request: pb.DecideApprovalRequest, _: Any) -> pb.FineTuneRun:
        """Approve or refuse a stage that waits for a person; a repeated decision changes nothing."""
        async with self._db.begin() as tx:
            run = await repository.get(tx, *_run_id(request.name))
            if run.approvals.get(request.stage) != request.approved:
                _check_decidable(run, request.stage, users_are_known=self._users_are_known)
                check_second_person(run.creator, f"approve {run.name}")
                await repository.decide(tx, run, request.stage, request.approved)
                await _record_decision(tx, run, request)
        self._reconciler.wake.notify()
        return convert.run_to_proto(await self._read(request.name))

    async def _read(self, name: str) -> Run:
        async with self._db.read() as tx:
            return await repository.get(tx, *_run_id(name))


def _check_decidable(run: Run, stage: str, *, users_are_known: bool) -> None:
    if stage != "deploy" or "serving" not in run.spec or not needs_approval(run, users_are_known=users_are_known):
        raise InvalidInput.of(
            [
                Violation(
                    "stage", f"{stage!r} takes no approval in this run; only deploy does, with serving.rollout: MANUAL"
                )
            ]
        )
    if run.phase.ended:
        raise FailedPrecondition(f"{run.name} has ended ({run.phase}); there is nothing left to decide")
    if stage in run.approvals:
        raise FailedPrecondition(f"{stage} of {run.name} was decided already; submit a new run to decide anew")


async def _record_decision(tx: Any, run: Run, request: pb.DecideApprovalRequest) -> None:
    decision = {"stage": request.stage, "approved": request.approved, "comment": request.comment}
    actor = context.caller.get().subject
    await audit.append(tx, actor=actor, action="run.decide", subject=run.name, detail=decision)


def _run_id(name: str) -> tuple[str, str]:
    """Namespace and id of a run."""
    parts = names.parse(name, "fineTuneRuns")
    return parts.namespace, parts.id
