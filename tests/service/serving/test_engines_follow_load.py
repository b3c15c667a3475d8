"""Engines come while requests wait and go when fewer are enough, and no request notices."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from service.serving.asking import Client, free_port, in_front, until_served
from service.serving.serving_world import Installation, Service, serving

from posology.core.errors import InvalidInput
from posology.v1alpha1 import serving_pb2 as pb

SLOW = "[wait 0.05] May I take it with food?"


@dataclass
class Served:
    """A deployment whose engines run two requests at once, and a client in front of it."""

    service: Service
    asking: Client

    async def deploy(self, *, down: int) -> None:
        model = self.service.installation.weights()
        self.service.installation.verdict(model)
        await self.service.create(model, spec=spec(down=down))
        await self.service.until("READY")
        await until_served(self.asking)

    async def until_ready(self, engines: int, *, seconds: float = 40) -> pb.Deployment:
        """Until so many engines answer and are wanted; the deployment is READY all the time."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.service.get()
                assert found.state == pb.Deployment.READY, found.reason
                if found.ready_replicas == found.wanted_replicas == engines:
                    return found
                await asyncio.sleep(0.1)

    async def until_running(self, engines: int, *, seconds: float = 40) -> None:
        async with asyncio.timeout(seconds):
            while len(self.service.agents()) != engines:
                await asyncio.sleep(0.1)


def spec(*, down: int = 2, replicas: int = 1) -> pb.ServingSpec:
    rule = pb.Autoscaling(max_replicas=2, target_queue=2, scale_down_seconds=down)
    return pb.ServingSpec(model_name="labels", replicas=replicas, autoscaling=rule)


@pytest.fixture
async def served(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Serving and a gateway; the test deploys."""
    monkeypatch.setenv("STAND_IN_RUNS_AT_ONCE", "3")
    port = free_port()
    async with (
        serving(installation, listen=f"127.0.0.1:{port}", scale_seconds="0.2") as service,
        in_front(service, port) as asking,
    ):
        yield Served(service, asking)


class Crowd:
    """Clients that ask without end until they are sent away."""

    def __init__(self, asking: Client, number: int) -> None:
        self._over = asyncio.Event()
        self._asks = [asyncio.ensure_future(self._keep_asking(asking)) for _ in range(number)]

    async def _keep_asking(self, asking: Client) -> None:
        while not self._over.is_set():
            await asking.ask(messages=[{"role": "user", "content": SLOW}], max_tokens=10, stream=True)

    async def leave(self) -> None:
        self._over.set()
        await asyncio.gather(*self._asks)


async def test_an_engine_comes_with_the_queue_and_goes_after_it_and_nothing_is_cut(served: Served) -> None:
    await served.deploy(down=2)
    few, many = Crowd(served.asking, 1), Crowd(served.asking, 7)
    found = await served.until_ready(2)
    assert "requests waited for 1 engine; the target is 2 for each" in found.reason
    await many.leave()
    await served.until_ready(1)
    await served.until_running(1)
    await few.leave()
    assert served.asking.failures() == []
    assert len(served.asking.responses) > 8
    log = (served.service.installation.root / "serving.log").read_text()
    assert '"from": 1, "to": 2' in log
    assert '"from": 2, "to": 1, "reason": "for 2 s 1 engine would have been enough"' in log


async def test_a_steady_load_that_takes_two_engines_keeps_both(served: Served) -> None:
    """Nothing waits any more once the second one takes its part; by the queue alone, it would be taken away again."""
    await served.deploy(down=1)
    many, steady = Crowd(served.asking, 2), Crowd(served.asking, 5)
    await served.until_ready(2)
    await many.leave()
    for _ in range(40):
        assert (await served.service.get()).wanted_replicas == 2
        await asyncio.sleep(0.1)
    await steady.leave()
    assert served.asking.failures() == []


async def test_a_service_that_was_killed_keeps_what_load_asked_for(served: Served) -> None:
    await served.deploy(down=3)
    crowd = Crowd(served.asking, 7)
    await served.until_ready(2)
    agents, loop = served.service.agents(), asyncio.get_running_loop()
    await crowd.leave()
    await served.service.kill()
    await asyncio.sleep(3)
    await served.service.restart()
    started = loop.time()
    await served.until_ready(2)
    assert served.service.agents() == agents
    await served.until_ready(1)
    assert loop.time() - started > 1.5  # it looked for the whole window first
    assert served.asking.failures() == []


async def test_an_engine_that_can_not_start_leaves_the_others_ready(served: Served) -> None:
    await served.deploy(down=2)
    served.service.installation.engine_python.write_text("#!/bin/sh\necho no GPU is free\nexit 1\n")
    crowd = Crowd(served.asking, 7)
    async with asyncio.timeout(40):
        while "no GPU is free" not in (found := await served.service.get()).reason:
            await asyncio.sleep(0.1)
    assert (found.state, found.ready_replicas, found.wanted_replicas) == (pb.Deployment.READY, 1, 2)
    await crowd.leave()
    await served.until_ready(1)
    assert served.asking.failures() == []


async def test_less_room_than_the_fewest_is_refused_by_name(service: Service) -> None:
    model = service.installation.weights()
    service.installation.verdict(model)
    with pytest.raises(InvalidInput, match="at least replicas"):
        await service.create(model, spec=spec(replicas=3))
