"""Gateway, serving, agents and engines together: what a client meets while everything behind it changes."""

import asyncio
import os

from service.serving.asking import free_port, in_front, until_served
from service.serving.serving_world import Installation, serving


async def test_clients_do_not_notice_that_the_serving_service_was_killed(installation: Installation) -> None:
    port = free_port()
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        await service.create(model)
        await service.until("READY")
        await until_served(asking)
        async with asking.busily():
            await service.kill()
            await asyncio.sleep(1)
            await service.restart()
            await service.until("READY")
            await asyncio.sleep(1)
    assert asking.failures() == []
    assert len(asking.responses) > 20


async def test_new_weights_take_over_under_load_and_no_request_fails(installation: Installation) -> None:
    port = free_port()
    old, new = installation.weights("one"), installation.weights("two")
    installation.verdict(old)
    installation.verdict(new, seed="two")
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        await service.create(old, name="old")
        await service.until("READY", name="old")
        await until_served(asking)
        async with asking.busily(clients=4):
            await service.create(new, name="new")
            await service.until("STOPPED", name="old")
            await asyncio.sleep(0.3)
    assert asking.failures() == []
    by = [r.headers["x-posology-deployment"].rpartition("/")[2] for r in asking.responses]
    assert (by[0], by[-1]) == ("old", "new")
    model_of = {"old": old, "new": new}
    told = zip(by, asking.responses, strict=True)
    assert all(response.headers["x-posology-model-digest"] == model_of[name] for name, response in told)


async def test_a_dead_engine_is_503_until_it_is_back(installation: Installation) -> None:
    port = free_port()
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        await service.create(model)
        await service.until("READY")
        await until_served(asking)
        installation.engine_python.rename(installation.root / "away")
        [pid] = service.agents().values()
        os.kill(pid, 9)
        await service.until("DEGRADED")
        async with asyncio.timeout(20):
            while (refused := await asking.ask()).status_code == 200:
                await asyncio.sleep(0.05)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_engine_ready")
        assert "retry-after" in refused.headers
        (installation.root / "away").rename(installation.engine_python)
        await service.until("READY")
        await until_served(asking)
