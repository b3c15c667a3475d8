"""The one server interceptor: trace and identity of a call, then its guarded handler.

grpc.aio calls `intercept_service` in the task and context that the handler will run in, so what is bound
here (caller, run, trace) is what the handler sees.
"""

from collections.abc import Awaitable, Callable, Collection

import grpc
import grpc.aio

from posology.core.rpc import context, digests
from posology.core.rpc.authentication import Callers
from posology.core.rpc.digests import Listings
from posology.core.rpc.handler import Guard, Handler
from posology.core.rpc.impersonation import enter, on_behalf
from posology.core.rpc.method import method
from posology.core.rpc.rights import Check, Table, check


class Interceptor(grpc.aio.ServerInterceptor):
    """See the module. `exempt` holds full service names, or service/Method, that need no token; `rights` says what
    users need for the others. `listings` knows which artifacts a namespace has.
    `call_seconds` bounds unary calls whose caller set no deadline.
    """

    def __init__(
        self,
        callers: Callers,
        *,
        rights: Table,
        exempt: Collection[str],
        call_seconds: float,
        listings: Listings | None = None,
    ) -> None:
        self._callers = callers
        self._listings = listings
        self._rights = rights
        self._exempt = frozenset(exempt)
        self._call_seconds = call_seconds
        self._served: dict[str, tuple[Guard, Handler, bool]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler, or one that refuses before the request is read; None for an unknown method."""
        served = self._served.get(handler_call_details.method)
        if served is None:
            plain = await continuation(handler_call_details)
            if plain is None:
                return None
            served = self._serve(handler_call_details.method, plain)
        guard, handler, exempt = served
        metadata = dict(handler_call_details.invocation_metadata)
        context.bind(metadata)
        if exempt:
            return handler
        try:
            caller = await self._callers.authenticator.authenticate(metadata)
            enter(on_behalf(caller, metadata))
        except Exception as error:  # noqa: BLE001 - answered as a status, and logged if it is a defect
            return guard.refusal(error)
        return handler

    def _serve(self, path: str, plain: Handler) -> tuple[Guard, Handler, bool]:
        """Wrap a method at its first call."""
        name = path.removeprefix("/")
        exempt = name in self._exempt or name.partition("/")[0] in self._exempt
        guard = Guard(method(name), call_seconds=self._call_seconds, check=None if exempt else self._check(name))
        served = self._served[path] = (guard, guard.wrap(plain), exempt)
        return served

    def _check(self, name: str) -> Check | None:
        """First whether the caller may, then whether what the request names is the namespace's; services too."""
        authorizer = self._callers.authorizer
        return digests.both(
            check(name, self._rights, authorizer) if authorizer else None,
            digests.check(name, self._rights, self._listings) if self._listings else None,
        )
