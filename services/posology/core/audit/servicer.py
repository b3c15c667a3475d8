"""A service's chains over gRPC: their ends, to be kept elsewhere, and their entries, to be checked there."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from collections.abc import AsyncIterator, Mapping
from typing import Any

from posology.core.audit.trail import entries, head
from posology.core.canonical import canonical_json
from posology.core.errors import InvalidInput, Violation
from posology.core.rpc.rights import Rule, table
from posology.core.store import Database
from posology.v1alpha1 import audit_pb2 as pb
from posology.v1alpha1 import audit_pb2_grpc

NAME = pb.DESCRIPTOR.services_by_name["Audit"].full_name
EVERYWHERE = "namespaces/-"
RIGHTS = table(
    NAME,
    {
        "ListAuditHeads": Rule("list", "audit", field="parent"),
        "ExportAudit": Rule("list", "audit", field="parent"),
    },
)
_PIECE = 500
"""Entries that are read in one transaction."""


class AuditServicer(audit_pb2_grpc.AuditServicer):
    """Chains by the name of their service."""

    def __init__(self, chains: Mapping[str, Database]) -> None:
        self._chains = chains

    async def ListAuditHeads(self, _: pb.ListAuditHeadsRequest, __: Any) -> pb.ListAuditHeadsResponse:
        """One head for each chain."""
        heads = []
        for service, db in sorted(self._chains.items()):
            async with db.read() as tx:
                end = await head(tx)
            heads.append(pb.AuditHead(service=service, length=end.seq, digest=end.digest))
        return pb.ListAuditHeadsResponse(heads=heads)

    async def ExportAudit(self, request: pb.ExportAuditRequest, _: Any) -> AsyncIterator[pb.ExportAuditResponse]:
        """Entries in order; InvalidInput names the chains that there are."""
        db = self._chains.get(request.service)
        if db is None:
            known = ", ".join(sorted(self._chains))
            raise InvalidInput.of([Violation("service", f"{request.service!r} has no chain here; there is {known}")])
        after = request.after
        while True:
            async with db.read() as tx:
                piece = [entry async for entry in entries(tx, after=after, limit=_PIECE)]
            for entry in piece:
                yield pb.ExportAuditResponse(entry=canonical_json(entry.to_json()))
            if len(piece) < _PIECE:
                return
            after = piece[-1].seq
