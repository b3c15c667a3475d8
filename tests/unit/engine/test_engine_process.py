"""Starting and ending real processes, without vLLM."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from posology.core.jobs.launchers import processes
from posology.engine import Engine, EngineConfig, EngineFailed, EngineHost, Probe, guard, mismatches
from posology.engine.drain import Load, parse_load


async def test_an_engine_that_cannot_start_fails_with_the_tail_of_its_log(tmp_path: Path) -> None:
    host = EngineHost(python=sys.executable, cache_dir=tmp_path / "cache", ready_timeout=30)
    with pytest.raises(EngineFailed, match="No module named 'vllm'"):
        async with Engine.start(tmp_path, EngineConfig(), host=host):
            pass


async def test_an_engine_that_never_answers_fails_in_time_and_is_killed(tmp_path: Path) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\necho loading\necho $$ > {tmp_path}/pid\nsleep 60\n")
    stand_in.chmod(0o755)
    host = EngineHost(python=str(stand_in), cache_dir=tmp_path / "cache", ready_timeout=1)
    with pytest.raises(EngineFailed, match=r"not ready after 1 s:\nloading"):
        async with Engine.start(tmp_path, EngineConfig(), host=host):
            pass
    assert _gone(int((tmp_path / "pid").read_text()))


async def test_an_engine_that_was_stopped_holds_no_memory(tmp_path: Path) -> None:
    """The kernel takes a while to give back what was written; a stop that returns before it starves the next engine."""
    stand_in = tmp_path / "python"
    program = f"held = b'1' * 2**30; open({str(tmp_path / 'ready')!r}, 'w').close(); import time; time.sleep(60)"
    stand_in.write_text(f'#!/bin/sh\n{sys.executable} -c "{program}"\n')
    stand_in.chmod(0o755)
    host = EngineHost(python=str(stand_in), cache_dir=tmp_path / "cache")
    engine = Engine._launch(tmp_path, EngineConfig(), host=host, name="model", log=None)
    while not (tmp_path / "ready").exists():
        await asyncio.sleep(0.05)
    assert len(processes.in_group(engine.pid)) == 3  # guard, shell, program
    await engine.stop()
    assert processes.in_group(engine.pid) == []


def test_kill_9_of_the_parent_ends_the_whole_group() -> None:
    nested = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, {guard.__file__!r}, "sh", "-c", "sleep 60 & echo $!; wait"],
                         stdin=subprocess.PIPE, start_new_session=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", nested], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    sleeper = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert _gone(sleeper)


def test_load_sums_the_gauges_and_ignores_everything_else() -> None:
    metrics = """# HELP vllm:num_requests_running Number of requests
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 9.0
"""
    assert parse_load(metrics) == Load(running=3, waiting=4)
    assert parse_load("vllm:num_requests_running 0.0").idle


def test_a_probe_mismatch_says_whether_template_or_weights_differ() -> None:
    recorded = Probe("q", (1, 2), (5, 6, 7))
    assert mismatches([recorded], [recorded]) == ()
    [template] = mismatches([recorded], [Probe("q", (1, 3), (5, 6, 7))])
    [weights] = mismatches([recorded], [Probe("q", (1, 2), (5, 6, 8))])
    assert "template" in template.reason
    assert "token 2" in weights.reason
    assert Probe.from_dict(recorded.to_dict()) == recorded


def _gone(pid: int, *, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
