"""What a kubelet asks an agent whose engine something else runs, and what the agent leaves behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from support.certificates import Authority
from support.vllm_protocol import Protocol

from posology.core import http as core_http
from posology.core import http_tls
from posology.core.rpc.tls import PLAIN, Files
from posology.engine import Load
from posology.serving.agent.proxy import Proxy, engine_session
from posology.serving.agent.report import Report
from posology.serving.domain import ReplicaState
from posology.serving.engine_load import Loads

DRAIN = "/drain/unguessable"


@dataclass
class Beside:
    """An agent's proxy, and the engine beside it."""

    proxy: Proxy
    report: Report
    engine: Protocol
    http: httpx.AsyncClient

    async def says(self, path: str) -> int:
        return (await self.http.get(path)).status_code


@asynccontextmanager
async def beside(folder: Path, tls: Files = PLAIN) -> AsyncIterator[Beside]:
    engine, report = Protocol("weights"), Report(folder, folder / "last-word")
    async with core_http.serving(engine.app(), "127.0.0.1:0") as behind, engine_session() as session:
        proxy = Proxy(report, session, token="t", engine_url=behind.url, drain_path=DRAIN)
        async with (
            core_http.serving(proxy.app(), "127.0.0.1:0", tls=tls) as front,
            httpx.AsyncClient(base_url=front.url, headers={"authorization": "Bearer t"}) as http,
        ):
            yield Beside(proxy, report, engine, http)


async def test_vllm_may_start_only_after_the_weights_are_verified(tmp_path: Path) -> None:
    async with beside(tmp_path) as agent:
        assert await agent.says("/verified") == 503
        agent.report.say(ReplicaState.STARTING)
        assert await agent.says("/verified") == 200
        agent.report.say(ReplicaState.FAILED)
        assert await agent.says("/verified") == 503


async def test_the_kubelet_hears_of_an_engine_that_it_can_not_reach(tmp_path: Path) -> None:
    async with beside(tmp_path) as agent:
        assert await agent.says("/engine") == 200
        agent.engine.healthy = False
        assert await agent.says("/engine") == 503


async def test_a_hook_returns_when_the_last_request_has_ended(tmp_path: Path) -> None:
    async with beside(tmp_path) as agent:
        agent.proxy.target = agent.proxy._engine_url
        body = {"model": "model", "messages": [{"role": "user", "content": "[wait 0.05] hi"}], "stream": True}
        running = asyncio.ensure_future(agent.http.post("/v1/chat/completions", json=body))
        while not agent.engine.running:
            await asyncio.sleep(0.01)
        hook = asyncio.ensure_future(agent.says(DRAIN))
        await asyncio.sleep(0.1)
        assert await agent.says("/ready") == 503
        assert (await agent.http.post("/v1/chat/completions", json=body)).status_code == 503
        assert not hook.done()
        assert (await running).text.endswith("data: [DONE]\n\n")
        assert await hook == 200


async def test_a_hook_waits_for_an_engine_that_would_not_hear_sigterm_yet(tmp_path: Path) -> None:
    async with beside(tmp_path) as agent:
        agent.engine.healthy = False
        hook = asyncio.ensure_future(agent.says(DRAIN))
        await asyncio.sleep(0.3)
        assert not hook.done()
        agent.engine.healthy = True
        assert await hook == 200


async def test_who_has_the_token_hears_how_busy_the_engine_is(tmp_path: Path) -> None:
    async with beside(tmp_path) as agent, http_tls.client(PLAIN) as client:
        loads, url = Loads(client), str(agent.http.base_url)
        assert await loads.of(url, "t") is None  # not verified yet
        agent.proxy.target = agent.proxy._engine_url
        agent.engine.running, agent.engine.waiting = 3, 2
        assert await loads.of(url, "t") == Load(3, 2)
        assert await loads.of(url, "another") is None


async def test_an_engine_s_load_is_asked_over_tls_from_nobody_else(tmp_path: Path) -> None:
    authority = Authority()
    mine = authority.write(tmp_path / "services", "127.0.0.1")
    shown = authority.write(tmp_path / "agents", "posology-engine.team-a.svc")
    files = Files(certificate=shown["tls_cert_file"], key=shown["tls_key_file"])
    trusted = Files(authorities=mine["tls_ca_file"])
    async with beside(tmp_path, files) as agent:
        agent.proxy.target = agent.proxy._engine_url
        for name, found in (("posology-engine.team-a.svc", Load(0, 0)), ("posology-catalog.team-a.svc", None)):
            async with http_tls.client(trusted, name=name) as client:
                assert await Loads(client).of(str(agent.http.base_url), "t") == found


async def test_the_last_word_is_written_in_place_for_the_kubelet(tmp_path: Path) -> None:
    word = tmp_path / "last-word"
    word.touch()
    inode = word.stat().st_ino
    async with beside(tmp_path) as agent:
        agent.report.say(ReplicaState.FAILED, "x" * 5000, final=True)
        agent.report.leave()
    found = json.loads(word.read_text())
    assert (found["state"], found["final"]) == ("FAILED", True)
    assert len(word.read_bytes()) < 4096
    assert word.stat().st_ino == inode
