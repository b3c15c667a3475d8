"""From runs to resources: every run, whatever its door, is a FineTuneRun whose status says where it stands."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from posology.core.controllers import ControlLoop
from posology.core.errors import AlreadyExists, NotFound, PosologyError, Retryable
from posology.core.kube import Kube
from posology.core.times import from_timestamp
from posology.operator import convert, domain, events
from posology.operator.leader_state import Notes
from posology.operator.settings import Settings
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1 import orchestrator_pb2_grpc

log = logging.getLogger("posology.operator")

Object = Mapping[str, Any]
Place = tuple[str, str]

_PAGE = 50
_SIDE_BY_SIDE = 8
_OVERLAP = timedelta(seconds=30)
"""Runs become visible in the order of their commits, not of their times; look back this far."""


@dataclass
class Followed:
    """A resource whose run has not ended."""

    resource: Object
    due: float = 0.0
    pause: float = 0.0


class Mirror:
    """The only writer of statuses."""

    def __init__(
        self, orchestrator: orchestrator_pb2_grpc.OrchestratorAsyncStub, kube: Kube, notes: Notes, settings: Settings
    ) -> None:
        self._orchestrator = orchestrator
        self._kube = kube
        self._notes = notes
        self._settings = settings
        self._followed: dict[Place, Followed] = {}
        self._appeared: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled; the orchestrator and the API server may be away for as long as they like."""
        await ControlLoop("runs and resources", self.reconcile_once, interval=self._settings.poll_seconds).run()

    async def reconcile_once(self) -> None:
        """One round: what is to cancel, what is new, what moved."""
        for claim in self._notes.cancels:
            await cancel(self._orchestrator, claim, "its FineTuneRun was deleted")
            await self._notes.cancelled(claim)
        await self._show_new()
        now = asyncio.get_running_loop().time()
        due = [place for place, followed in self._followed.items() if followed.due <= now]
        for start in range(0, len(due), _SIDE_BY_SIDE):
            await _all(self._refresh(place) for place in due[start : start + _SIDE_BY_SIDE])

    def follow(self, resource: Object) -> None:
        """Keep the resource's status true from now on; unless its run has ended."""
        if "endTime" not in (resource.get("status") or {}):
            self._followed[_place(resource)] = Followed(resource)

    def forget(self, resource: Object) -> None:
        """The resource is going."""
        self._followed.pop(_place(resource), None)

    async def cancel_later(self, claim: domain.Claim) -> None:
        """Cancel a run as soon as the orchestrator can be reached, by this leader or a later one."""
        await self._notes.add_cancel(claim)

    async def show(self, run: pb.FineTuneRun, resource: Object) -> Object:
        """Write where the run stands, tell what happened, and follow it to its end."""
        status = convert.status_from(run, resource)
        for happening in domain.happenings(resource.get("status") or {}, status):
            await self.announce(resource, happening)  # before the status: told twice is told once
        written = await self.tell(resource, status)
        if written is not None and not convert.is_ended(run):
            self._followed.setdefault(_place(written), Followed(written)).resource = written
        else:
            self.forget(resource)
        return written or resource

    async def announce(self, resource: Object, happening: domain.KubeEvent) -> None:
        """Tell it as an Event of the resource."""
        await events.tell(self._kube, resource, happening)

    async def tell(self, resource: Object, status: Object) -> Object | None:
        """Write a status if it says something new; None if the resource is gone."""
        before = resource.get("status") or {}
        if all(before.get(key) == value for key, value in status.items()):
            return resource
        try:
            return await self._kube.merge(convert.RUNS, *_place(resource), {"status": dict(status)}, part="status")
        except NotFound:
            return None

    # --- what moved ----------------------------------------------------------------------------------

    async def _refresh(self, place: Place) -> None:
        followed = self._followed.get(place)
        if followed is None:
            return
        resource = followed.resource
        run = await self._run_of(resource)
        if run is None:
            await self._lose(resource)
            return
        written = await self.show(run, resource)
        self._rest(followed, moved=written is not resource)

    def _rest(self, followed: Followed, *, moved: bool) -> None:
        """Look soon again while things move, ever more seldom while nothing does."""
        shortest, longest = self._settings.poll_seconds, self._settings.idle_seconds
        followed.pause = shortest if moved else min(max(shortest, followed.pause * 1.5), max(shortest, longest))
        followed.due = asyncio.get_running_loop().time() + followed.pause * 0.99

    async def _run_of(self, resource: Object) -> pb.FineTuneRun | None:
        claim = convert.claim_of(resource)
        try:
            run = await self._orchestrator.GetRun(pb.GetRunRequest(name=claim.run))
        except NotFound:
            return None
        return run if claim.holds_for(run.uid, run.labels) else None

    async def _lose(self, resource: Object) -> None:
        self.forget(resource)
        message = "the orchestrator has no such run; was its database restored from a backup?"
        conditions = domain.refused("RunLost", message, for_good=True)
        await self.tell(resource, convert.refusal(resource, "Lost", conditions))

    # --- what is new ---------------------------------------------------------------------------------

    async def _show_new(self) -> None:
        since = self._notes.shown_until - _OVERLAP if self._notes.shown_until > _EPOCH + _OVERLAP else _EPOCH
        runs = [run async for run in self._created_since(since)]
        for run in reversed(runs):
            if run.uid not in self._appeared:
                await self._appear(run)
                self._appeared.add(run.uid)
        if runs:
            await self._notes.show_until(_created(runs[0]))
        self._appeared &= {run.uid for run in runs}

    async def _created_since(self, since: datetime) -> AsyncIterator[pb.FineTuneRun]:
        """Newest first."""
        token = ""
        while True:
            request = pb.ListRunsRequest(parent="namespaces/-", page_size=_PAGE, page_token=token)
            page = await self._orchestrator.ListRuns(request)
            for run in page.runs:
                if _created(run) < since:
                    return
                if self._serves(run):
                    yield run
            token = page.next_page_token
            if not token:
                return

    def _serves(self, run: pb.FineTuneRun) -> bool:
        namespaces = self._settings.namespaces()
        return not namespaces or convert.place_of(run)[0] in namespaces

    async def _appear(self, run: pb.FineTuneRun) -> None:
        """Make the run's resource, unless the run was made for one."""
        try:
            resource = await self._kube.create(convert.RUNS, convert.place_of(run)[0], convert.resource_from(run))
        except AlreadyExists:
            resource = await self._kube.read(convert.RUNS, *convert.place_of(run))
            if not convert.claim_of(resource).holds_for(run.uid, run.labels):
                log.warning("a resource of another run has this name; the run is not shown", extra={"run": run.name})
                return
        except Retryable:
            raise
        except PosologyError as error:  # no such namespace, for example: one run must not stop the others
            log.warning("the run is not shown: %s", error.message, extra={"run": run.name})
            return
        await self.show(run, resource)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def cancel(orchestrator: orchestrator_pb2_grpc.OrchestratorAsyncStub, claim: domain.Claim, reason: str) -> None:
    """Ask for the end of the run that the claim is about, if there is one and it has not ended."""
    try:
        run = await orchestrator.GetRun(pb.GetRunRequest(name=claim.run))
    except NotFound:
        return
    if claim.holds_for(run.uid, run.labels) and not convert.is_ended(run):
        await orchestrator.CancelRun(pb.CancelRunRequest(name=claim.run, reason=reason))


def _place(resource: Object) -> Place:
    return resource["metadata"]["namespace"], resource["metadata"]["name"]


def _created(run: pb.FineTuneRun) -> datetime:
    return from_timestamp(run.create_time)


async def _all(calls: Any) -> None:
    """Wait for every call, then raise the first error."""
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
