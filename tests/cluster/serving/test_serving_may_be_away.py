"""Engines and gateway do not need the serving service to serve."""

import pytest
from cluster.serving.world import PODS, Open, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


async def test_serving_that_is_killed_adopts_its_engines(release: Open) -> None:
    async with release.deployed("adopted") as model:
        [before] = await release.world.pods()
        async with release.streaming(model, clients=2) as answers:
            await release.world.kill("serving")
            await eventually(release.world.is_ready, within=120)
        assert answers.failures() == []
        await release.again()
        await release.until("READY", "adopted")
        [after] = await release.world.pods()
        assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_the_gateway_finds_a_replaced_engine_while_serving_is_away(release: Open) -> None:
    async with release.deployed("alone") as model:
        await release.world.scale("serving", 0)
        try:
            await eventually(lambda: release.world.has_no("serving"))
            [before] = await release.world.pods()
            await release.world.kube.delete(PODS, release.world.namespace, before["metadata"]["name"])
            await eventually(lambda: release.only_another(before), within=120)
            assert (await release.ask(model)).status_code == 200
            await release.world.kill("gateway")
            await eventually(lambda: release.world.service_is_ready("gateway"), within=120)
            release.renew()
            await eventually(lambda: release.answers(model))
        finally:
            await release.world.scale("serving", 1)
            await release.again()
        await release.until("READY", "alone")


async def test_an_engine_that_dies_comes_back_verified(release: Open) -> None:
    async with release.deployed("dies") as model:
        end_it = "import os, signal; os.kill(1, signal.SIGTERM)"
        await release.world.python("engine", end_it, container="engine", wanted=None)
        await release.until("DEGRADED", "dies")
        await release.until("READY", "dies")
        await eventually(lambda: release.answers(model))
        [pod] = await release.world.pods()
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
