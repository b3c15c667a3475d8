"""Whatever ends at whatever moment: each resource makes one run, no deletion hangs, no cancellation is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import yaml
from cluster.operator_world import World, condition, is_true
from support.clusters import RUNS
from support.rpc_example import free_address

from posology.core.errors import Unavailable
from posology.core.kube import ClusterConfig, Kube
from posology.operator import convert
from posology.v1alpha1 import orchestrator_pb2 as pb

pytestmark = pytest.mark.cluster


async def test_the_same_uid_and_generation_make_the_same_run(installation: World) -> None:
    applied = await installation.apply("once")
    async with installation.orchestrator(), installation.stub() as door:
        runs = {(await door.CreateRun(convert.request_from(applied))).uid for _ in range(3)}
        assert len(runs) == 1
        async with installation.operator():
            shown = await installation.until("once", is_true("Succeeded"))
    assert {shown["status"]["uid"]} == runs


async def test_a_run_that_is_applied_while_the_orchestrator_is_away_waits_for_it(installation: World) -> None:
    async with installation.operator():
        await installation.apply("early")
        status = (await installation.until("early", lambda s: bool(s.get("conditions"))))["status"]
        accepted = condition(status, "Accepted")
        assert (accepted["status"], accepted["reason"]) == ("Unknown", "OrchestratorUnavailable")
        async with installation.orchestrator():
            await installation.until("early", is_true("Succeeded"))


async def test_deletion_ends_while_the_orchestrator_is_away_and_the_next_leader_cancels(installation: World) -> None:
    installation.driver.hold.add("sft")
    async with installation.operator("operator-1"):
        async with installation.orchestrator():
            await installation.apply("orphan")
            await installation.until("orphan", is_true("Running"))
        await installation.kube.delete(RUNS, installation.namespace, "orphan")
        await installation.until_gone("orphan")
    async with installation.orchestrator():
        assert (await installation.run("orphan")).phase == pb.FineTuneRun.RUNNING
        async with installation.operator("operator-2"):
            await installation.until_run("orphan", pb.FineTuneRun.CANCELLED)


async def test_a_killed_operator_is_replaced_and_takes_up_where_it_was(installation: World, api: ClusterConfig) -> None:
    installation.driver.hold.add("sft")
    async with installation.orchestrator():
        with process(installation, api, "killed") as first:
            await installation.apply("going")
            await installation.until("going", is_true("Running"))
            first.send_signal(signal.SIGKILL)
            first.wait()
            await installation.apply("meanwhile")
            installation.driver.hold.clear()
        async with installation.operator("heir"):
            for name in ("going", "meanwhile"):
                await installation.until(name, is_true("Succeeded"))
        async with installation.stub() as door:
            found = await door.ListRuns(pb.ListRunsRequest(parent=f"namespaces/{installation.namespace}"))
        assert sorted(run.name for run in found.runs) == sorted(map(installation.full_name, ("going", "meanwhile")))


async def test_two_operators_share_the_work_by_turns(installation: World) -> None:
    async with installation.orchestrator(), installation.operator("second"):
        async with installation.operator("first"):
            await installation.apply("a")
            await installation.until("a", is_true("Succeeded"))
        await installation.apply("b")
        await installation.until("b", is_true("Succeeded"))


async def test_an_api_server_that_goes_and_comes_back_loses_nothing(installation: World, api: ClusterConfig) -> None:
    installation.driver.hold.add("sft")
    async with cuttable(api) as line, installation.orchestrator(), installation.stub() as door:
        installation.access = line.access
        async with installation.operator():
            await installation.apply("before")
            await installation.until("before", is_true("Running"))
            await line.cut()
            await installation.apply("during")  # the operator can't see it
            installation.driver.hold.clear()
            await installation.until_run("before", pb.FineTuneRun.SUCCEEDED)
            await asyncio.sleep(3)  # longer than the lease lasts
            await line.mend()
            for name in ("before", "during"):
                await installation.until(name, is_true("Succeeded"))
        found = await door.ListRuns(pb.ListRunsRequest(parent=f"namespaces/{installation.namespace}"))
        assert len(found.runs) == 2


@contextmanager
def process(world: World, api: ClusterConfig, identity: str) -> Iterator["subprocess.Popen[bytes]"]:
    """An operator as a process of its own, to be killed."""
    settings = world.operator_settings(identity)
    environment = {
        f"POSOLOGY_{name.upper()}": str(getattr(settings, name))
        for name in ("data_dir", "identity", "watch_namespaces", "lease_namespace", "lease_seconds", "poll_seconds",
                     "idle_seconds", "orchestrator_address")
    }  # fmt: skip
    kubeconfig = _kubeconfig(api, world.folder / "kubeconfig")
    command = [sys.executable, "-m", "posology.operator.app"]
    started = subprocess.Popen(
        command, env={**os.environ, **environment, "KUBECONFIG": str(kubeconfig)}, stderr=subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def _kubeconfig(api: ClusterConfig, path: Path) -> Path:
    for name, data in (("ca.pem", api.authority), ("cert.pem", api.certificate), ("key.pem", api.key)):
        (path.parent / name).write_bytes(data)
    user = {"token": api.bearer()} if api.bearer() else {"client-certificate": "cert.pem", "client-key": "key.pem"}
    config = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": api.server, "certificate-authority": "ca.pem"}}],
        "users": [{"name": "it", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


class Line:
    """A TCP line to the API server that can be cut."""

    def __init__(self, api: ClusterConfig, address: str) -> None:
        host, _, port = api.server.removeprefix("https://").partition(":")
        self._target = (host, int(port or 443))
        self._address = address
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.access = ClusterConfig(**{**vars(api), "server": f"https://{address}"})

    async def mend(self) -> None:
        """Connect again."""
        host, port = self._address.split(":")
        self._server = await asyncio.start_server(self._serve, host, int(port))

    async def cut(self) -> None:
        """Break every connection and take no new one."""
        assert self._server
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
        self._open -= {writer, far_writer}


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def cuttable(api: ClusterConfig) -> AsyncIterator[Line]:
    """A line; skips where the API server's certificate does not hold for loopback."""
    line = Line(api, free_address())
    await line.mend()
    async with Kube(line.access) as probe:
        try:
            await probe.get("/version")
        except Unavailable as error:
            pytest.skip(f"the API server can't be reached through a line on loopback: {error}")
    yield line
    await line.cut()
