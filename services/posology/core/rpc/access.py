"""What a caller may do here, told to the caller: the same table and the same authorizer that refuse calls."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
from typing import Any

from posology.core.rpc import context
from posology.core.rpc.context import Identity, Kind
from posology.core.rpc.rights import EVERYBODY, SERVICES_ONLY, Authorizer, Right, Rule, Table, table
from posology.v1alpha1 import access_pb2 as pb
from posology.v1alpha1 import access_pb2_grpc

NAME = pb.DESCRIPTOR.services_by_name["Access"].full_name
RIGHTS = table(NAME, {"ListPermittedCalls": EVERYBODY})


class AccessServicer(access_pb2_grpc.AccessServicer):
    """The rights of one server; without an authorizer everybody may do everything."""

    def __init__(self, rights: Table, authorizer: Authorizer | None) -> None:
        self._rights = rights
        self._authorizer = authorizer

    async def ListPermittedCalls(self, request: pb.ListPermittedCallsRequest, _: Any) -> pb.ListPermittedCallsResponse:
        """One question for each verb and part; the authorizer remembers the answers for seconds."""
        who, namespace = context.caller.get(), request.parent.removeprefix("namespaces/")
        wanted = {rule: Right(rule.verb, namespace, rule.part) for rule in self._rights.values()}
        permitted = await asyncio.gather(*(self._may(who, rule, right) for rule, right in wanted.items()))
        allowed = {rule for rule, may in zip(wanted, permitted, strict=True) if may}
        calls = sorted(_short(method) for method, rule in self._rights.items() if rule in allowed)
        return pb.ListPermittedCallsResponse(subject=who.subject, calls=calls)

    async def _may(self, who: Identity, rule: Rule, right: Right) -> bool:
        if rule == EVERYBODY or who.kind is not Kind.USER or self._authorizer is None:
            return True
        return rule != SERVICES_ONLY and await self._authorizer.allows(who, right)


def _short(method: str) -> str:
    return method.rpartition(".")[2]
