"""A running engine stops by itself when its weights, verdict, data set or policy is withdrawn, and says why.

The agents are real processes; they obey the signature of the list alone, whoever writes the file.
"""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from service.serving.serving_world import Installation, Service, ask, serving

from posology.core import errors
from posology.core.attestations.deny_list import FILE
from posology.core.release import document
from posology.core.rpc import client
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc, serving_pb2

DATA = "sha256:" + "da7a" * 16
SECONDS = 10


@asynccontextmanager
async def catalog_of(service: Service) -> AsyncIterator[catalog_pb2_grpc.CatalogAsyncStub]:
    address = service.settings["catalog_address"]
    async with client.channel(address, token=service.installation.token, service="catalog") as channel:
        yield catalog_pb2_grpc.CatalogStub(channel)


async def withdraw(service: Service, digest: str, kind: str) -> None:
    async with catalog_of(service) as catalog:
        request = pb.CreateWithdrawalRequest(parent="namespaces/-", digest=digest, kind=kind, reason="it errs")
        await catalog.CreateWithdrawal(request)


def policy_of(installation: Installation) -> str:
    keys = document.keys_in(installation.root / "keys", (), document.KEY)
    return document.load(installation.root / document.FILE, keys).digest


async def silent(route: serving_pb2.Route) -> None:
    """Returns as soon as the engine answers no more."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                if (await ask(route)).status_code != 200:
                    return
            except httpx.TransportError:
                return
            await asyncio.sleep(0.1)


async def test_a_running_engine_stops_within_seconds_and_says_why(installation: Installation, service: Service) -> None:
    withdrawn = {}
    for what in ("model", "verdict", "dataset", "release-policy"):
        model = installation.weights(what)
        data = DATA if what == "dataset" else "sha256:" + "0" * 64
        verdict = installation.verdict(model, seed=what, modelName=what, dataset=data, weightFiles=[model[7:]])
        spec = serving_pb2.ServingSpec(model_name=what)
        await service.create(model, verdict=verdict, name=what, spec=spec)
        withdrawn[what] = {"model": model, "verdict": verdict.upper(), "dataset": DATA[7:]}.get(what, "")
    for what in withdrawn:
        await service.until("READY", name=what)
    routes = {route.model_name: route for route in (await service.routes()).routes}
    withdrawn["release-policy"] = policy_of(installation)  # the last one, because it stops them all
    while withdrawn:
        what, digest = next(iter(withdrawn.items()))
        del withdrawn[what]
        await withdraw(service, digest, what)
        await silent(routes[what])
        ended = await service.until("FAILED", name=what)
        assert "withdrawn (it errs)" in ended.reason
        for other in withdrawn:
            assert (await ask(routes[other])).status_code == 200
        with pytest.raises(errors.FailedPrecondition, match="was withdrawn"):
            await service.create(ended.model, verdict=ended.verdict, name="again", spec=ended.spec)


async def test_an_agent_obeys_while_serving_is_away_and_after_its_own_restart(
    installation: Installation, service: Service
) -> None:
    model = installation.weights()
    await service.create(model, verdict=installation.verdict(model))
    await service.until("READY")
    [route] = (await service.routes()).routes
    await service.kill()
    await withdraw(service, model, "model")
    await silent(route)
    await service.restart()
    assert "withdrawn (it errs)" in (await service.until("FAILED")).reason


async def test_an_engine_does_not_load_over_a_list_that_was_put_back_or_taken_away(
    installation: Installation,
) -> None:
    path = installation.root / FILE
    async with serving(installation, deny_list_seconds=3600) as service:
        model = installation.weights()
        await service.create(model, verdict=installation.verdict(model))
        await service.until("READY")
        old = path.read_bytes()
        await withdraw(service, DATA, "dataset")  # number 2, which the running agent sees
        await asyncio.sleep(2)
        path.write_bytes(old)
        [pid] = service.agents().values()
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while "it is an old one" not in (await service.get()).reason:
                await asyncio.sleep(0.2)
        assert not [route for route in (await service.routes()).routes if route.agents]
        for attack in (lambda: path.unlink(), lambda: path.write_text("{}")):
            attack()
            with pytest.raises(errors.Unavailable, match="deny-list"):
                await service.create(model, name="other")
