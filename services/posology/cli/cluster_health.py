"""How the services of a connected installation stand, by the health check that each answers."""

import asyncio
from dataclasses import dataclass

from grpc_health.v1 import health_pb2, health_pb2_grpc

from posology.client import Installation
from posology.core.errors import PosologyError, Unavailable
from posology.core.rpc import client as rpc
from posology.core.rpc import tls

SERVICES = ("orchestrator", "curation", "training", "evaluation", "serving", "gateway")
_SECONDS = 5.0


@dataclass(frozen=True)
class Standing:
    """One service: `serving`, `not serving`, `unreachable` or `unknown` (nobody said where it is), and why."""

    service: str
    state: str
    address: str
    reason: str = ""


async def ask_all(installation: Installation) -> list[Standing]:
    """Every service, at the same time."""
    return list(await asyncio.gather(*(_ask(installation, service) for service in SERVICES)))


async def _ask(installation: Installation, service: str) -> Standing:
    try:
        address = installation.address(service)
    except Unavailable:
        return Standing(service, "unknown", "", f"POSOLOGY_{service.upper()}_ADDRESS is not set")
    files = tls.Files.of(installation.settings)
    token = installation.token_for(service)
    try:
        async with rpc.channel(address, token=token, service=service, timeout=_SECONDS, files=files) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    except PosologyError as error:
        return Standing(service, "unreachable", address, error.message)
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return Standing(service, "serving" if serving else "not serving", address)
