"""Engines and services die, weights are replaced; what serves goes on serving."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest
from service.serving.serving_world import PROMPT, Installation, Service, ask, serving
from support.servers import Postgres
from support.vllm_protocol import Protocol, weights_digest

from posology.core import audit, errors
from posology.core import http as core_http
from posology.core.store import Database
from posology.v1alpha1 import serving_pb2 as pb


async def test_a_deployment_serves_what_was_evaluated(installation: Installation, service: Service) -> None:
    model = installation.weights()
    verdict = installation.verdict(model)
    await service.create(model)
    found = await service.until("READY")
    assert (found.verdict, found.ready_replicas, found.traffic_percent) == (verdict, 1, 100)
    [route] = (await service.routes()).routes
    response = await ask(route)
    assert response.status_code == 200
    assert installation.released.exists(model)
    assert installation.released.exists(verdict)


async def test_the_agent_answers_nobody_without_its_token(installation: Installation, service: Service) -> None:
    model = installation.weights()
    installation.verdict(model)
    await service.create(model)
    await service.until("READY")
    [route] = (await service.routes()).routes
    async with httpx.AsyncClient(base_url=route.agents[0]) as http:
        for path in ("/v1/chat/completions", "/v1/completions", "/count", "/drain"):
            assert (await http.post(path, json={})).status_code == 401
        assert (await http.get("/status")).status_code == 401
        assert (await http.get("/ready")).status_code == 200
        token = {"authorization": f"Bearer {route.token}"}
        for path in ("/invocations", "/tokenize", "/pause", "/metrics"):
            assert (await http.post(path, json={}, headers=token)).status_code == 404
        assert (await http.post("/drain", headers=token)).status_code == 202
        assert (await http.get("/ready")).status_code == 503
    refused = await ask(route)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_kill_9_of_the_service_leaves_engines_serving_and_it_adopts_them(
    installation: Installation, service: Service
) -> None:
    model = installation.weights()
    installation.verdict(model)
    await service.create(model)
    await service.until("READY")
    before, table = service.agents(), await service.routes()
    await service.kill()
    assert (await ask(table.routes[0])).status_code == 200
    await service.restart()
    again = await service.routes()
    assert again.routes == table.routes
    assert again.version > table.version
    assert service.agents() == before
    assert (await service.get()).state == pb.Deployment.READY


async def test_a_deployment_that_was_starting_when_the_service_died_becomes_ready(
    installation: Installation, service: Service
) -> None:
    model = installation.weights()
    installation.verdict(model)
    await service.create(model)
    await asyncio.sleep(0.3)
    await service.kill()
    await service.restart()
    assert (await service.until("READY")).ready_replicas == 1
    assert len(service.agents()) == 1


@pytest.mark.parametrize("victim", ["agent", "engine"])
async def test_a_dead_engine_is_started_again(installation: Installation, service: Service, victim: str) -> None:
    model = installation.weights()
    installation.verdict(model)
    await service.create(model)
    await service.until("READY")
    [agent] = service.agents().values()
    os.kill(agent if victim == "agent" else _engine_of(agent), signal.SIGKILL)
    degraded = await service.until("DEGRADED")
    assert degraded.reason.startswith("0 of 1 engines ready; ")
    assert (await service.until("READY")).ready_replicas == 1
    assert (await ask((await service.routes()).routes[0])).status_code == 200


async def test_an_engine_that_never_starts_fails_the_deployment_with_its_log(installation: Installation) -> None:
    model = installation.weights()
    installation.verdict(model)
    installation.engine_python.write_text("#!/bin/sh\necho no such device >&2; exit 3\n")
    async with serving(installation, start_attempts="2") as service:
        await service.create(model)
        failed = await service.until("FAILED")
    assert "failed to start 2 times" in failed.reason
    assert "no such device" in failed.reason


async def test_new_weights_take_over_without_a_failed_request(installation: Installation, service: Service) -> None:
    old, new = installation.weights("one"), installation.weights("two")
    installation.verdict(old)
    installation.verdict(new, seed="two")
    await service.create(old, name="old")
    await service.until("READY", name="old")
    [route] = (await service.routes()).routes
    streaming = asyncio.ensure_future(ask(route, f"[wait 0.1] {PROMPT}", max_tokens=60, stream=True))
    await asyncio.sleep(0.3)
    await service.create(new, name="new")
    await service.until("READY", name="new")
    await service.until("DRAINING", name="old")
    response = await streaming
    assert response.text.count("data: ") == 61  # 60 tokens and [DONE]
    await service.until("STOPPED", name="old")
    [route] = (await service.routes()).routes
    assert (route.deployment, route.traffic_percent) == ("namespaces/default/deployments/new", 100)


async def test_a_canary_is_promoted_by_hand_or_by_time_and_rolled_back(
    installation: Installation, service: Service
) -> None:
    old, new = installation.weights("one"), installation.weights("two")
    installation.verdict(old)
    installation.verdict(new, seed="two")
    await service.create(old, name="old")
    await service.until("READY", name="old")
    spec = pb.ServingSpec(model_name="labels", canary=pb.Canary(steps=[20, 100]), rollout=pb.ServingSpec.MANUAL)
    await service.create(new, name="new", spec=spec)
    await service.until("READY", name="new")
    assert {r.deployment[-3:]: r.traffic_percent for r in (await service.routes()).routes} == {"old": 80, "new": 20}
    await service.rpc.PromoteDeployment(pb.PromoteDeploymentRequest(name="namespaces/default/deployments/new"))
    await service.until("STOPPED", name="old")
    back = await service.rpc.RollBackDeployment(pb.RollBackDeploymentRequest(name="namespaces/default/deployments/new"))
    assert back.name == "namespaces/default/deployments/old"
    assert (await service.get("new")).traffic_percent == 100  # it serves until the way back is ready
    await service.until("READY", name="old")
    await service.until("STOPPED", name="new")
    assert [r.deployment[-3:] for r in (await service.routes()).routes] == ["old"]


async def test_a_deleted_deployment_drains_and_goes(installation: Installation, service: Service) -> None:
    model = installation.weights()
    installation.verdict(model)
    await service.create(model)
    await service.until("READY")
    [route] = (await service.routes()).routes
    streaming = asyncio.ensure_future(ask(route, f"[wait 0.05] {PROMPT}", max_tokens=40, stream=True))
    await asyncio.sleep(0.2)
    request = pb.DeleteDeploymentRequest(name="namespaces/default/deployments/first")
    assert (await service.rpc.DeleteDeployment(request)).state == pb.Deployment.DRAINING
    assert (await streaming).text.count("data: ") == 41
    await service.until("STOPPED")
    assert service.agents() == {}
    with pytest.raises(errors.NotFound):
        await service.get("unknown")


async def test_an_engine_beside_the_agent_serves_too(installation: Installation, tmp_path: Path) -> None:
    model = installation.weights()
    installation.verdict(model)
    beside = Protocol(weights_digest(tmp_path / "models" / "one"), name="labels")
    async with (
        core_http.serving(beside.app(), "127.0.0.1:0") as engine,
        serving(installation, engine_url=engine.url) as service,
    ):
        await service.create(model)
        await service.until("READY")
        assert (await ask((await service.routes()).routes[0])).status_code == 200
        beside.healthy = False
        await service.until("DEGRADED")
        beside.healthy = True
        await service.until("READY")


async def test_deployments_live_in_postgresql_too(installation: Installation, postgres: Postgres) -> None:
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation, database_url=postgres.url()) as service:
        await service.create(model)
        await service.until("READY")
        await service.kill()
        await service.restart()
        await service.rpc.DeleteDeployment(pb.DeleteDeploymentRequest(name="namespaces/default/deployments/first"))
        await service.until("STOPPED")


async def test_every_change_is_in_the_audit(installation: Installation) -> None:
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation) as service:
        await service.create(model)
        await service.until("READY")
    db = Database(f"sqlite:///{installation.root}/db/serving.sqlite")
    async with db.read() as tx:
        found = [entry async for entry in audit.entries(tx)]
    await db.close()
    audit.verify_chain(found)
    assert found[0].action == "CreateDeployment"
    assert found[0].detail["model"] == model
    assert found[-1].detail["to"] == "READY"


async def test_stopping_the_service_stops_its_engines_and_starting_brings_them_back(
    installation: Installation,
) -> None:
    model = installation.weights()
    installation.verdict(model)
    async with serving(installation) as service:
        await service.create(model)
        await service.until("READY")
        [pid] = service.agents().values()
    assert not _runs(pid)
    async with serving(installation) as service:
        assert (await service.until("READY")).ready_replicas == 1
        assert (await ask((await service.routes()).routes[0])).status_code == 200


def _engine_of(agent: int) -> int:
    """The process that speaks vLLM's protocol: the grandchild, below the guard."""
    import psutil

    return next(p.pid for p in psutil.Process(agent).children(recursive=True) if "--served-model-name" in p.cmdline())


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
