"""A serving service over real gRPC, whose agents are real processes in front of servers that speak vLLM's protocol."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from support import release, vllm_protocol
from support.catalogs import serving_catalog

from posology.core.artifacts import ArtifactStore
from posology.core.attestations.verdict import FILE as VERDICT_FILE
from posology.core.attestations.verdict import PREDICATE_TYPE
from posology.core.rpc import client
from posology.core.rpc.auth import ensure_token
from posology.core.signing import Signer, statement
from posology.engine import EngineConfig, Probe, chat_template_digest
from posology.v1alpha1 import serving_pb2 as pb
from posology.v1alpha1.serving_pb2_grpc import ServingStub

PROMPT = "May I take it with food?"


@dataclass
class Installation:
    """A data directory with keys, candidates and an engine's Python that is the stand-in."""

    root: Path
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        self.token = ensure_token(self.root / "token")
        self.signer = Signer.load_or_create(self.root / "keys" / "evaluation.key")
        self.candidates = ArtifactStore(f"file://{self.root}/artifacts/candidates")
        self.released = ArtifactStore(f"file://{self.root}/artifacts/released")
        release.install(self.root)
        self.engine_python = self.root / "stand-in"
        self.engine_python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{vllm_protocol.__file__}" "$@"\n')
        self.engine_python.chmod(0o700)

    def weights(self, seed: str = "one", *, parents: tuple[str, ...] = ()) -> str:
        """Candidate weights; their digest."""
        folder = vllm_protocol.make_model(self.root / "models" / seed, seed=seed)
        return self.candidates.publish(folder, kind="model", producer="tests", parents=parents)

    def statement(self, model: str, *, seed: str = "one", **said: Any) -> dict[str, Any]:
        """What an evaluation would say of these weights."""
        folder = self.root / "models" / seed
        weights = vllm_protocol.weights_digest(folder)
        ids = vllm_protocol.answer_ids(weights, PROMPT, 8)
        probe = Probe(PROMPT, tuple(vllm_protocol.prompt_ids(PROMPT)), tuple(ids))
        observed = self.engine.observed(
            chat_template=chat_template_digest(folder), engine_version=vllm_protocol.VERSION, max_model_len=512
        )
        predicate = {**release.proven(), "engine": observed.to_dict(), "probes": [probe.to_dict()], **said}
        return statement(PREDICATE_TYPE, {"model": model}, predicate)

    def verdict(self, model: str, *, signer: Signer | None = None, seed: str = "one", **said: Any) -> str:
        """A signed verdict among the candidates; its digest."""
        envelope = (signer or self.signer).sign(self.statement(model, seed=seed, **said))
        folder = self.root / "verdicts" / os.urandom(4).hex()
        folder.mkdir(parents=True)
        (folder / VERDICT_FILE).write_text(json.dumps(envelope))
        return self.candidates.publish(folder, kind="verdict", parents=[model], producer="tests")

    def environment(self, **settings: str) -> dict[str, str]:
        told = {
            "data_dir": str(self.root),
            "listen": "127.0.0.1:0",
            "metrics_port": "-1",
            "ready_file": str(self.root / "serving.json"),
            "engine_python": str(self.engine_python),
            "tick_seconds": "0.1",
            "settle_seconds": "0.3",
            "backoff_seconds": "0.2",
            "canary_step_seconds": "0.5",
            "log_level": "DEBUG",
            **settings,
        }
        return os.environ | {f"POSOLOGY_{name.upper()}": value for name, value in told.items()}


@dataclass
class Service:
    """A serving process, and a client of it."""

    installation: Installation
    settings: dict[str, str]
    process: "subprocess.Popen[bytes]"
    channel: Any
    rpc: Any
    """A `ServingStub` on a channel of asyncio."""

    async def create(self, model: str, *, verdict: str = "", name: str = "first", **fields: Any) -> pb.Deployment:
        spec = fields.pop("spec", pb.ServingSpec(model_name="labels"))
        request = pb.CreateDeploymentRequest(
            parent="namespaces/default", deployment_id=name, model=model, verdict=verdict, spec=spec, **fields
        )
        made: pb.Deployment = await self.rpc.CreateDeployment(request)
        return made

    async def get(self, name: str = "first") -> pb.Deployment:
        found: pb.Deployment = await self.rpc.GetDeployment(
            pb.GetDeploymentRequest(name=f"namespaces/default/deployments/{name}")
        )
        return found

    async def until(self, state: str, *, name: str = "first", seconds: float = 60) -> pb.Deployment:
        """Watch until the deployment has this state; a failed one says why."""
        wanted = pb.Deployment.State.Value(state)
        request = pb.WatchDeploymentRequest(name=f"namespaces/default/deployments/{name}")
        async with asyncio.timeout(seconds):
            async for found in self.rpc.WatchDeployment(request):
                if found.state == wanted:
                    assert isinstance(found, pb.Deployment)
                    return found
        raise AssertionError(f"{name} ended as {pb.Deployment.State.Name(found.state)}: {found.reason}")

    async def routes(self) -> pb.RouteTable:
        """The table now."""
        async for table in self.rpc.WatchRoutes(pb.WatchRoutesRequest()):
            assert isinstance(table, pb.RouteTable)
            return table
        raise AssertionError("no table came")

    def agents(self) -> dict[str, int]:
        """Process id of each agent, by replica."""
        folder = self.installation.root / "serving" / "replicas"
        return {path.parent.name: int(path.read_text()) for path in folder.glob("*/pid")}

    async def kill(self) -> None:
        """kill -9, and nothing else."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        await self.channel.close()

    async def restart(self) -> None:
        self.process, self.channel = await _start(self.installation, self.settings)
        self.rpc = ServingStub(self.channel)


async def _start(installation: Installation, settings: dict[str, str]) -> tuple["subprocess.Popen[bytes]", Any]:
    ready = installation.root / "serving.json"
    ready.unlink(missing_ok=True)
    log = (installation.root / "serving.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "posology.serving.app"],
        env=installation.environment(**settings),
        stdout=log,
        stderr=log,
    )
    log.close()
    async with asyncio.timeout(60):
        while not ready.exists():
            assert process.poll() is None, (installation.root / "serving.log").read_text()
            await asyncio.sleep(0.05)
    address = json.loads(ready.read_text())["address"]
    # A pool of its own: the gateway in this process may be backing off from the same address.
    options = [("grpc.use_local_subchannel_pool", 1)]
    return process, client.channel(address, token=installation.token, service="serving", options=options)


@asynccontextmanager
async def serving(
    installation: Installation, *, deny_list_seconds: float = 1.0, **settings: str
) -> AsyncIterator[Service]:
    """A running service beside a catalog, stopped with its engines at the end."""
    async with serving_catalog(installation.root, deny_list_seconds=deny_list_seconds) as catalog:
        settings |= {"catalog_address": catalog, "evaluation_address": catalog}
        process, channel = await _start(installation, settings)
        service = Service(installation, settings, process, channel, ServingStub(channel))
        try:
            yield service
        finally:
            await service.channel.close()
            service.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(service.process.wait, 60)
            for pid in service.agents().values():
                _end(pid)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def ask(route: pb.Route, text: str = PROMPT, **fields: Any) -> httpx.Response:
    """One chat with the first agent of a route, as the gateway asks."""
    body = {"model": route.model_name, "messages": [{"role": "user", "content": text}], "max_tokens": 8, **fields}
    async with httpx.AsyncClient(timeout=30, headers={"authorization": f"Bearer {route.token}"}) as http:
        return await http.post(f"{route.agents[0]}/v1/chat/completions", json=body)
