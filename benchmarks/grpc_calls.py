"""gRPC calls per second: our server and channel (token, validation, metrics, trace) against plain grpc.aio.

    python benchmarks/grpc_calls.py [--seconds 0.1] [--rounds 100] [--json FILE]

Each server runs in a process of its own, the client in this one; short rounds alternate between the two, so
that a busy machine slows both. The ratio is the median over rounds. Ours is what `posology up` starts, event loop
(uvloop) included; plain is grpc.aio's documented server on asyncio's own.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio

from posology.core.rpc import client
from posology.core.rpc.auth import ensure_token, read_token
from posology.core.rpc.server import Server, launch, run
from posology.core.settings import ServiceSettings, load
from posology.v1alpha1 import orchestrator_pb2 as pb
from posology.v1alpha1 import orchestrator_pb2_grpc as rpc

AIMS = {1: 0.90, 64: 0.60}
"""Calls in flight -> least share of plain grpc.aio's calls per second."""
SERVICE = pb.DESCRIPTOR.services_by_name["Orchestrator"].full_name
NAME = "namespaces/default/fineTuneRuns/clinical-drug-information"


class Runs(rpc.OrchestratorServicer):
    """Answers from memory, so that the call itself is what is measured."""

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.FineTuneRun:
        """The name back."""
        return pb.FineTuneRun(name=request.name)


def _add(server: Any) -> None:
    rpc.add_OrchestratorServicer_to_server(Runs(), server)  # type: ignore[abstract]


async def serve_ours(folder: Path) -> None:
    """The runner of every service, as `posology up` starts it."""
    settings = load(ServiceSettings, data_dir=folder, ready_file=folder / "posology", log_level="WARNING")
    ensure_token(settings.token_file)
    await run(Server(name="bench", settings=settings, add=_add, service_names=(SERVICE,)))


async def serve_plain(folder: Path) -> None:
    """grpc.aio as its documentation shows it."""
    server = grpc.aio.server()
    _add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    (folder / "plain").write_text(json.dumps({"address": f"127.0.0.1:{port}"}))
    await server.wait_for_termination()


SERVERS = {"plain": serve_plain, "posology": serve_ours}


async def calls_per_second(stub: Any, *, in_flight: int, seconds: float) -> float:
    """Keep `in_flight` calls running for `seconds`; finished calls per second."""
    request = pb.GetRunRequest(name=NAME)
    finished = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal finished
        while time.perf_counter() < end:
            await stub.GetRun(request)
            finished += 1

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return finished / (time.perf_counter() - begun)


async def compare(addresses: dict[str, str], token: str, *, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """One row per number of calls in flight."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(grpc.aio.insecure_channel(addresses["plain"]))
        ours = await stack.enter_async_context(client.channel(addresses["posology"], token=token))
        stubs = {"plain": rpc.OrchestratorStub(plain), "posology": rpc.OrchestratorStub(ours)}
        for stub in stubs.values():
            await calls_per_second(stub, in_flight=8, seconds=0.5)
        return [await _row(stubs, in_flight, seconds, rounds) for in_flight in AIMS]


async def _row(stubs: dict[str, Any], in_flight: int, seconds: float, rounds: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {name: [] for name in stubs}
    for _ in range(rounds):
        for name, stub in stubs.items():
            found[name].append(await calls_per_second(stub, in_flight=in_flight, seconds=seconds))
    ratios = [ours / plain for ours, plain in zip(found["posology"], found["plain"], strict=True)]
    rates = {name: round(statistics.median(values)) for name, values in found.items()}
    return {"in_flight": in_flight, **rates, "ratio": round(statistics.median(ratios), 3), "aim": AIMS[in_flight]}


def machine() -> dict[str, Any]:
    """Versions and machine, printed with every number."""
    versions = {name: importlib.metadata.version(name) for name in ("grpcio", "protobuf", "protovalidate")}
    return {
        "python": platform.python_version(),
        **versions,
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """Each server in a process of its own; their addresses."""
    command = [sys.executable, __file__, "--folder", str(folder), "--serve"]
    processes = [subprocess.Popen([*command, name]) for name in SERVERS]
    try:
        yield {name: _address(folder / name) for name in SERVERS}
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _address(ready: Path, *, within: float = 30.0) -> str:
    end = time.monotonic() + within
    while not ready.exists() or not ready.read_text():
        if time.monotonic() > end:
            raise TimeoutError(f"{ready.name} did not start within {within:g} s")
        time.sleep(0.05)
    return str(json.loads(ready.read_text())["address"])


def measure(*, seconds: float, rounds: int) -> dict[str, Any]:
    """Start the servers, compare, stop them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with servers(folder) as addresses:
            token = read_token(folder / "token")
            rows = asyncio.run(compare(addresses, token, seconds=seconds, rounds=rounds))
    return {"machine": machine(), "calls_per_second": rows}


def show(result: dict[str, Any]) -> None:
    """A table for people."""
    print("  ".join(f"{name} {value}" for name, value in result["machine"].items()))
    print(f"{'in flight':>9}  {'plain/s':>8}  {'posology/s':>10}  {'ratio':>6}  {'aim':>5}")
    for row in result["calls_per_second"]:
        met = "met" if row["ratio"] >= row["aim"] else "MISSED"
        print(
            f"{row['in_flight']:>9}  {row['plain']:>8}  {row['posology']:>10}  {row['ratio']:>6.2f}  "
            f"{row['aim']:>5.2f}  {met}"
        )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.1, help="length of one round")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--serve", choices=tuple(SERVERS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve = partial(SERVERS[options.serve], options.folder)
        launch(serve) if options.serve == "posology" else asyncio.run(serve())
        return
    result = measure(seconds=options.seconds, rounds=options.rounds)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
