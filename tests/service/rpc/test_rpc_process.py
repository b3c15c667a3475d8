"""A service as a process: its logs, its signals, its exit codes, its metrics."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.rpc_example import NAME, Stub, Text, free_address, texts

from posology.core import errors
from posology.core.rpc import client, context
from posology.core.rpc.auth import ensure_token, read_token

SCRIPT = Path(__file__).parents[2] / "support" / "rpc_process.py"


@dataclass
class Started:
    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    token: str

    def channel(self) -> client.Channel:
        return client.channel(self.ready["address"], token=self.token, service="echo")

    async def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and log lines."""
        _, logged = await asyncio.wait_for(self.process.communicate(), 20)
        return self.process.returncode or 0, [json.loads(line) for line in logged.decode().splitlines()]


@asynccontextmanager
async def process(folder: Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        env={**os.environ, "POSOLOGY_DATA_DIR": str(folder), **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


@asynccontextmanager
async def service(folder: Path, **environment: str) -> AsyncIterator[Started]:
    token, ready = ensure_token(folder / "token"), folder / "run" / "echo.json"
    async with process(folder, POSOLOGY_READY_FILE=str(ready), **environment) as started:
        async with asyncio.timeout(20):
            while not ready.exists():
                await asyncio.sleep(0.05)
        yield Started(started, json.loads(ready.read_text()), token)


async def test_sigterm_ends_streams_finishes_calls_and_exits_0(tmp_path: Path) -> None:
    async with service(tmp_path) as started, started.channel() as channel:
        stub = Stub(channel)
        watching = asyncio.ensure_future(texts(stub.Watch(Text())))
        getting = asyncio.ensure_future(_call(stub, "0.5"))
        await asyncio.sleep(0.2)
        started.process.send_signal(signal.SIGTERM)
        assert await watching == ["started", "resume"]
        assert await getting == "whole"
        code, logged = await started.ended()
        assert code == 0
        assert [line["message"] for line in logged][-2:] == ["draining", "stopped"]


async def _call(stub: Stub, value: str) -> str:
    return str((await stub.Get(Text(value=value))).value)


async def test_a_second_signal_cuts_the_grace(tmp_path: Path) -> None:
    async with service(tmp_path) as started, started.channel() as channel:
        getting = asyncio.ensure_future(_call(Stub(channel), "30"))
        await asyncio.sleep(0.2)
        started.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert started.process.returncode is None
        started.process.send_signal(signal.SIGTERM)
        code, _ = await started.ended()
        assert code == 0
        with pytest.raises(errors.PosologyError):
            await getting


async def test_each_log_line_is_json_with_run_and_trace(tmp_path: Path) -> None:
    async with service(tmp_path) as started, started.channel() as channel:
        context.run_id.set("namespaces/a/fineTuneRuns/b")
        context.trace_id.set("ab" * 16)
        await Stub(channel).CreateNote(Text(value="0"))
        await Stub(channel).Get(Text(value="0"))
        with pytest.raises(errors.Internal):
            await Stub(channel).Get(Text(value="break"))
        started.process.terminate()
        _, logged = await started.ended()
    calls = [line for line in logged if line["logger"] == "posology.rpc"]
    assert [(line["method"], line["code"]) for line in calls] == [
        (f"{NAME}/CreateNote", "OK"),
        (f"{NAME}/Get", "INTERNAL"),
    ], "successful reads are logged at DEBUG only"
    assert {line["run_id"] for line in calls} == {"namespaces/a/fineTuneRuns/b"}
    assert {line["trace_id"] for line in calls} == {"ab" * 16}
    assert {line["caller"] for line in calls} == {"installation"}
    assert "KeyError: 'a secret of ours'" in calls[1]["exc_info"]
    assert all(line["service"] == "echo" and line["time"] and line["level"] for line in logged)


async def test_metrics_show_rate_errors_and_duration_of_each_method(tmp_path: Path) -> None:
    async with service(tmp_path) as started, started.channel() as channel:
        for _ in range(3):
            await Stub(channel).Get(Text(value="0"))
        with pytest.raises(errors.Internal):
            await Stub(channel).Get(Text(value="break"))
        async with client.channel(started.ready["address"], token="wrong") as stranger:
            with pytest.raises(errors.Unauthenticated):
                await Stub(stranger).Get(Text())
        url = f"http://{started.ready['metrics']}/metrics"
        shown = (await asyncio.to_thread(urllib.request.urlopen, url)).read().decode()
    method = f'method="{NAME}/Get"'
    assert f'posology_rpc_calls_total{{code="OK",{method}}} 3.0' in shown
    assert f'posology_rpc_calls_total{{code="INTERNAL",{method}}} 1.0' in shown
    assert f'posology_rpc_calls_total{{code="UNAUTHENTICATED",{method}}} 1.0' in shown
    assert f'posology_rpc_seconds_bucket{{le="+Inf",{method}}} 5.0' in shown
    assert f"posology_rpc_in_flight{{{method}}} 0.0" in shown
    assert "process_cpu_seconds_total" in shown


async def test_a_broken_loop_ends_the_process_for_a_fresh_start(tmp_path: Path) -> None:
    ensure_token(tmp_path / "token")
    async with process(tmp_path, TEST_BREAK_LOOP="1") as started:
        _, logged = await asyncio.wait_for(started.communicate(), 20)
    assert started.returncode == 1
    assert b"the loop broke" in logged


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("POSOLOGY_LISTEN", "7411", "POSOLOGY_LISTEN: '7411' is not host:port"),
        ("POSOLOGY_DRAIN_SECONDS", "long", "POSOLOGY_DRAIN_SECONDS: Input should be a valid number"),
        ("POSOLOGY_TOKEN_FILE", "/nowhere/token", "POSOLOGY_TOKEN_FILE: /nowhere/token can't be read"),
    ],
)
async def test_a_wrong_environment_is_one_line_that_names_the_variable(
    tmp_path: Path, variable: str, value: str, said: str
) -> None:
    ensure_token(tmp_path / "token")
    async with process(tmp_path, **{variable: value}) as started:
        _, logged = await asyncio.wait_for(started.communicate(), 20)
    assert started.returncode == 2
    assert logged.decode().startswith(said)
    assert len(logged.decode().splitlines()) == 1


async def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    address = free_address()
    async with service(tmp_path, POSOLOGY_LISTEN=address):
        async with process(tmp_path, POSOLOGY_LISTEN=address) as second:
            _, logged = await asyncio.wait_for(second.communicate(), 20)
        assert second.returncode == 2
        assert f"can't listen on {address}; is another process there?" in logged.decode()


async def test_the_token_may_be_rotated_without_a_restart(tmp_path: Path) -> None:
    async with service(tmp_path) as started:
        (tmp_path / "token").write_text("# rotated\nmaria second-token\n")
        async with client.channel(started.ready["address"], token=read_token(tmp_path / "token")) as channel:
            assert await _call(Stub(channel), "0") == "whole"
