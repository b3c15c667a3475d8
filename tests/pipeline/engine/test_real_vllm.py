"""A real vLLM over a tiny random model: start, probe, drain, end."""

import asyncio
from pathlib import Path

import pytest

from posology.core.jobs.launchers import processes
from posology.engine import Engine, EngineConfig, EngineHost, EngineMismatch, drain, load, mismatches
from posology.engine.reach import http_client

pytestmark = pytest.mark.slow


async def test_an_engine_replays_its_probes_drains_and_leaves_no_process(
    tiny_model: Path, engine_host: EngineHost
) -> None:
    config = EngineConfig(dtype="float32", max_model_len=256)
    async with Engine.start(tiny_model, config, host=engine_host) as engine:
        assert engine.config.engine_version
        assert engine.config.chat_template.startswith("sha256:")
        recorded = await engine.probe(["What is it?", "And then?"], max_tokens=8)
        assert all(len(p.token_ids) >= 1 for p in recorded)
        assert mismatches(recorded, await engine.probe([p.prompt for p in recorded], max_tokens=8)) == ()
        await _no_request_is_cut_while_draining(engine)
        group = engine.pid
    assert processes.in_group(group) == []


async def _no_request_is_cut_while_draining(engine: Engine) -> None:
    async with http_client(engine.url, timeout=60) as http:
        body = {"model": engine.name, "prompt": "a", "max_tokens": 200, "ignore_eos": True}
        running = asyncio.create_task(http.post("/v1/completions", json=body))
        await asyncio.sleep(0.1)
        assert await drain(engine.url, seconds=30, quiet=0.5)
        assert (await load(engine.url)).idle
        assert running.done()
        assert (await running).json()["choices"][0]["finish_reason"] == "length"


async def test_an_engine_with_another_template_than_was_evaluated_does_not_start(
    tiny_model: Path, engine_host: EngineHost
) -> None:
    asked = EngineConfig(dtype="float32", max_model_len=256, chat_template="sha256:" + "0" * 64)
    with pytest.raises(EngineMismatch, match="chat_template"):
        async with Engine.start(tiny_model, asked, host=engine_host):
            pass
