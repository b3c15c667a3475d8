"""From resources to runs: what a resource asks for is asked of the orchestrator, once however often it is seen."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import logging
from collections.abc import Mapping
from typing import Any

from posology.core.errors import AlreadyExists, InvalidInput, PosologyError, Retryable
from posology.core.rpc.impersonation import act_for
from posology.operator import convert, domain
from posology.operator.mirror import Mirror, cancel
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1 import orchestrator_pb2_grpc

log = logging.getLogger("posology.operator")

Object = Mapping[str, Any]

_DELETED = "its FineTuneRun was deleted"
_ASKED = "spec.cancel of its FineTuneRun"


class Bridge:
    """Level-triggered: looks at the resource as it is, and does what is still to be done."""

    def __init__(
        self, orchestrator: orchestrator_pb2_grpc.OrchestratorAsyncStub, mirror: Mirror, *, trust_submitted_by: bool
    ) -> None:
        self._orchestrator = orchestrator
        self._mirror = mirror
        self._trust_submitted_by = trust_submitted_by

    async def reconcile(self, resource: Object) -> None:
        """Submit or cancel the resource's run; Retryable when the orchestrator or the API server is away.

        A spec that is wrong is no error here: the resource's conditions say so.
        """
        status, spec = resource.get("status") or {}, resource.get("spec") or {}
        try:
            if _is_submitted(resource):
                if spec.get("cancel") and "endTime" not in status:
                    await cancel(self._orchestrator, convert.claim_of(resource), _ASKED)
                self._mirror.follow(resource)
            else:
                await self._begin(resource)
        except Retryable as error:
            if not _is_submitted(resource):
                conditions = domain.refused("OrchestratorUnavailable", error.message, for_good=False)
                await self._mirror.tell(resource, convert.refusal(resource, "Pending", conditions))
            raise

    async def delete(self, resource: Object, *, patient: bool) -> None:
        """Cancel the run of a deleted resource; what it deployed stays.

        Retryable while the orchestrator is away and we are `patient`; else the cancellation is noted for later.
        """
        claim = convert.claim_of(resource)
        self._mirror.forget(resource)
        try:
            await cancel(self._orchestrator, claim, _DELETED)
        except Retryable:
            if patient:
                raise
            log.warning("the orchestrator is away: the run is cancelled when it is back", extra={"run": claim.run})
            await self._mirror.cancel_later(claim)

    async def _begin(self, resource: Object) -> None:
        spec = resource.get("spec") or {}
        if spec.get("cancel"):
            conditions = domain.refused("Cancelled", "cancelled before it was submitted", for_good=True)
            await self._mirror.tell(resource, convert.refusal(resource, "Cancelled", conditions))
            return
        try:
            request = convert.request_from(resource)
            request.validate_only = bool(spec.get("suspend"))
            run = await self._submit(resource, request)
        except Retryable:
            raise
        except PosologyError as error:
            await self._refuse(resource, error)
            return
        if request.validate_only:
            await self._hold(resource)
        else:
            await self._mirror.show(run, resource)

    async def _submit(self, resource: Object, request: pb.CreateRunRequest) -> pb.FineTuneRun:
        """The run of this resource, new or made before by somebody who did not live to note it."""
        act_for(convert.submitter_of(resource) if self._trust_submitted_by else "")
        try:
            return await self._orchestrator.CreateRun(request)
        except AlreadyExists:
            run = await self._orchestrator.GetRun(pb.GetRunRequest(name=convert.name_of(resource)))
            if convert.claim_of(resource).holds_for(run.uid, run.labels):
                return run
            raise

    async def _hold(self, resource: Object) -> None:
        message = "checked and held; set spec.suspend to false to submit it"
        await self._mirror.tell(resource, convert.refusal(resource, "Suspended", domain.held(message)))

    async def _refuse(self, resource: Object, error: PosologyError) -> None:
        reason = {InvalidInput: "InvalidSpec", AlreadyExists: "NameTaken"}.get(type(error), type(error).__name__)
        conditions = domain.refused(reason, error.message, for_good=True)
        phase = "Invalid" if isinstance(error, InvalidInput) else "Refused"
        happening = domain.KubeEvent(reason, error.message, f"{reason}/{error.message}", warning=True)
        await self._mirror.announce(resource, happening)
        await self._mirror.tell(resource, convert.refusal(resource, phase, conditions))


def _is_submitted(resource: Object) -> bool:
    """Whether a run was made for it, or it for a run."""
    annotations = resource["metadata"].get("annotations") or {}
    return bool((resource.get("status") or {}).get("uid") or annotations.get(domain.RUN_UID))
