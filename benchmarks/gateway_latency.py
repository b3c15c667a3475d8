"""What the gateway adds to an answer: p50 at a fixed rate, against the engine alone and against the agent alone.

The whole chain runs as in an installation: gateway, serving and agent are processes of their own. The engine is
the server that speaks vLLM's protocol (no time of its own), or real vLLM with `--vllm MODEL_FOLDER`. Requests to
the three doors alternate at one rate, so all meet the same machine.

    .venv/dev/bin/python benchmarks/gateway_latency.py [--rate 30] [--seconds 20] [--vllm FOLDER]
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from service.serving.asking import free_port  # noqa: E402
from service.serving.serving_world import PROMPT, Installation, Service, serving  # noqa: E402
from support import release  # noqa: E402

from posology.core.attestations.verdict import PREDICATE_TYPE  # noqa: E402
from posology.core.rpc import client  # noqa: E402
from posology.core.signing import statement  # noqa: E402
from posology.engine import Engine, EngineConfig, EngineHost  # noqa: E402
from posology.v1alpha1 import gateway_pb2  # noqa: E402
from posology.v1alpha1.gateway_pb2_grpc import GatewayStub  # noqa: E402

BODY = {"model": "labels", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 16, "temperature": 0}
Door = tuple[str, dict[str, str]]


async def released(installation: Installation, vllm: Path | None) -> tuple[str, str]:
    """Weights and a verdict on them: digest and envelope."""
    if vllm is None:
        model = installation.weights()
        return model, json.dumps(installation.signer.sign(installation.statement(model)))
    installation.engine_python = ROOT / ".venv/engine-cpu/bin/python"
    model = installation.candidates.publish(vllm, kind="model", producer="benchmark")
    host = EngineHost(python=str(installation.engine_python))
    async with Engine.start(vllm, EngineConfig(), host=host) as engine:
        probes = [found.to_dict() for found in await engine.probe([PROMPT], max_tokens=8)]
        predicate = {**release.proven(), "engine": engine.config.to_dict(), "probes": probes}
    return model, json.dumps(installation.signer.sign(statement(PREDICATE_TYPE, {"model": model}, predicate)))


@asynccontextmanager
async def doors(folder: Path, vllm: Path | None) -> AsyncIterator[tuple[dict[str, Door], dict[str, psutil.Process]]]:
    """Engine, agent and gateway over one deployment: base URL and headers of each, and our two processes."""
    installation, port = Installation(folder), free_port()
    model, envelope = await released(installation, vllm)
    async with serving(installation, listen=f"127.0.0.1:{port}", log_level="WARNING") as service:
        await service.create(model, verdict=envelope)
        await service.until("READY", seconds=300)
        [route] = (await service.routes()).routes
        async with gateway(service, port) as (front, process):
            [agent] = service.agents().values()
            yield (
                {
                    "engine": (_engine_url(service), {}),
                    "agent": (route.agents[0], {"authorization": f"Bearer {route.token}"}),
                    "gateway": front,
                },
                {"agent": psutil.Process(agent), "gateway": psutil.Process(process)},
            )


def _engine_url(service: Service) -> str:
    [agent] = service.agents().values()
    words = [p.cmdline() for p in psutil.Process(agent).children(recursive=True) if "--port" in p.cmdline()][-1]
    return f"http://127.0.0.1:{words[words.index('--port') + 1]}"


@asynccontextmanager
async def gateway(service: Service, port: int) -> AsyncIterator[tuple[Door, int]]:
    """A gateway process that follows the service at `port` with a key for it, and its process id."""
    root = service.installation.root
    told = {
        "serving_address": f"127.0.0.1:{port}",
        "ready_file": str(root / "gateway.json"),
        "http_ready_file": str(root / "http.json"),
    }
    environment = service.installation.environment(**told, log_level="WARNING")
    process = subprocess.Popen([sys.executable, "-m", "posology.gateway.app"], env=environment)
    try:
        while not (root / "gateway.json").exists():
            await asyncio.sleep(0.05)
        address = json.loads((root / "gateway.json").read_text())["address"]
        async with client.channel(address, token=service.installation.token) as channel:
            stub: Any = GatewayStub(channel)
            asked = gateway_pb2.CreateApiKeyRequest(parent="namespaces/default", display_name="benchmark")
            key = await stub.CreateApiKey(asked)
        url = json.loads((root / "http.json").read_text())["url"]
        yield (url, {"authorization": f"Bearer {key.secret}"}), process.pid
    finally:
        process.terminate()
        process.wait()


async def measure(found: dict[str, Door], *, rate: float, seconds: float, stream: bool) -> dict[str, list[float]]:
    """Milliseconds to the end of each answer (streams: to the first event), by door, at `rate` requests a second."""
    times: dict[str, list[float]] = {name: [] for name in found}
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=100)) as http:
        for door in found.values():  # connections are there before the clock runs
            await _ask(http, door, stream=stream)
        began, tasks = time.perf_counter(), []
        names = list(found)
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            name = names[number % len(names)]
            tasks.append(asyncio.ensure_future(_timed(http, found[name], times[name], stream=stream)))
        await asyncio.gather(*tasks)
    return times


async def _timed(http: httpx.AsyncClient, door: Door, times: list[float], *, stream: bool) -> None:
    began = time.perf_counter()
    first = await _ask(http, door, stream=stream)
    times.append((first - began) * 1000)


async def _ask(http: httpx.AsyncClient, door: Door, *, stream: bool) -> float:
    """When the answer (a stream's first event) was there."""
    url, headers = door
    async with http.stream(
        "POST", f"{url}/v1/chat/completions", json={**BODY, "stream": stream}, headers=headers
    ) as response:
        assert response.status_code == 200, await response.aread()
        first = 0.0
        async for _ in response.aiter_raw():
            first = first or time.perf_counter()
    return first


def show(kind: str, times: dict[str, list[float]]) -> None:
    """A line per door, and what each adds to the engine's p50."""
    alone = statistics.median(times["engine"])
    for name, found in times.items():
        middle, late = statistics.median(found), statistics.quantiles(found, n=100)[98]
        added = "" if name == "engine" else f"   adds {middle - alone:6.2f} ms to p50"
        print(f"  {kind:<22} {name:<8} p50 {middle:7.2f} ms   p99 {late:7.2f} ms   n={len(found)}{added}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=30, help="requests a second over the three doors together")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--vllm", type=Path, help="folder of a model to serve with real vLLM")
    told = parser.parse_args()
    engine = f"vLLM over {told.vllm}" if told.vllm else "a server that speaks vLLM's protocol"
    print(f"gateway latency: {told.rate:g} requests/s for {told.seconds:g} s, engine: {engine}")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("httpx", "starlette", "uvicorn", "grpcio"))
    load = os.getloadavg()[0]
    print(f"  {platform.platform()}, {os.cpu_count()} CPUs, load {load:.1f}, Python {platform.python_version()}")
    print(f"  {libraries}")
    with tempfile.TemporaryDirectory() as folder:
        async with doors(Path(folder), told.vllm) as (found, processes):
            for stream, kind in ((False, "whole answer"), (True, "stream, first event")):
                before = {name: _cpu(process) for name, process in processes.items()}
                times = await measure(found, rate=told.rate, seconds=told.seconds, stream=stream)
                show(kind, times)
                # The agent works for its own door and for the gateway's.
                asked = {"gateway": len(times["gateway"]), "agent": len(times["gateway"]) + len(times["agent"])}
                used = {
                    name: (_cpu(process) - before[name]) * 1000 / asked[name] for name, process in processes.items()
                }
                print("  CPU a request          " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in used.items()))


def _cpu(process: psutil.Process) -> float:
    """Seconds that it has computed: the same on a busy machine, unlike the time that passed."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    asyncio.run(main())
