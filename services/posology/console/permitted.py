"""What whoever is signed in may do, as the services say: what would be refused is not shown. They refuse it anyway."""

import asyncio
import logging
import time

from posology.client import Client
from posology.console.sessions import Session
from posology.core.errors import PosologyError, Unauthenticated
from posology.v1alpha1.access_pb2 import ListPermittedCallsRequest

log = logging.getLogger("posology.console.permitted")
SECONDS = 10.0
"""How long an answer is believed."""


class Everything:
    """What the one user of an embedded installation may call."""

    def __contains__(self, call: object) -> bool:
        return True


async def calls(client: Client, session: Session) -> "frozenset[str] | Everything":
    """The calls that this session's user may make, as `Service/Call`; those of a service that is away are left out."""
    if session.person is None:
        return Everything()
    if time.monotonic() > session.permitted_until:
        listed = await asyncio.gather(*(_of(client, service) for service in client.access))
        session.permitted = frozenset().union(*listed)
        session.permitted_until = time.monotonic() + SECONDS
    return session.permitted


async def subject(client: Client) -> str:
    """As whom the services know the bearer of this request's token; Unauthenticated."""
    request = ListPermittedCallsRequest(parent=client.names.parent)
    return (await client.access["orchestrator"].ListPermittedCalls(request)).subject


async def _of(client: Client, service: str) -> frozenset[str]:
    request = ListPermittedCallsRequest(parent=client.names.parent)
    try:
        return frozenset((await client.access[service].ListPermittedCalls(request, timeout=3)).calls)
    except Unauthenticated:
        raise
    except PosologyError as error:
        log.warning("what may be done at %s is not known: %s", service, error.message)
        return frozenset()
