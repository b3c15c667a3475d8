"""The life of one agent: fetch, verify, start the engine, replay the probes, serve, drain, end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import httpx

from posology.core.artifacts import cache_eviction
from posology.core.errors import PosologyError, Unavailable
from posology.engine import Engine, EngineConfig, EngineHost, mismatches, probe
from posology.serving.agent.deny_list import DenyListWatch
from posology.serving.agent.evidence import Evidence, gather
from posology.serving.agent.proxy import Proxy
from posology.serving.agent.report import Report
from posology.serving.agent.settings import AgentSettings
from posology.serving.domain import OtherEngine, ProbesDiffer, ReplicaState

log = logging.getLogger("posology.agent")
_ENGINE_GRACE = 15.0
"""Seconds that vLLM gets to end after its last request."""


class EngineGone(Unavailable):
    """The engine ended while it was needed; it is started again."""


class RunningEngine(Protocol):
    """An engine that answers, started here or beside us."""

    url: str

    async def ready(self) -> bool: ...


class Sidecar:
    """An engine that something else starts and ends."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    async def ready(self) -> bool:
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
                return (await http.get(f"{self.url}/health")).status_code == 200
        except httpx.TransportError:
            return False

    async def until_ready(self, seconds: float, config: EngineConfig, *, folder: Path) -> None:
        """Wait for it, and see that it is the evaluated version, over the verified folder."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.ready():  # noqa: ASYNC110 - another process sets no event of ours
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise EngineGone(f"no engine answered at {self.url} within {seconds:.0f} s") from None
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            version = (await http.get(f"{self.url}/version")).json()["version"]
            [model] = (await http.get(f"{self.url}/v1/models")).json()["data"]
        if config.engine_version and version != config.engine_version:
            raise OtherEngine(f"the engine is vLLM {version}, but {config.engine_version} was evaluated")
        if config.max_model_len and model["max_model_len"] != config.max_model_len:
            length = model["max_model_len"]
            raise OtherEngine(f"the engine's max_model_len is {length}, but {config.max_model_len} was evaluated")
        if (root := model.get("root", str(folder))) != str(folder):
            raise OtherEngine(f"the engine serves {root}, but {folder} was verified")


@asynccontextmanager
async def engine(settings: AgentSettings, evidence: Evidence) -> AsyncIterator[RunningEngine]:
    """The ready engine over verified weights, in the configuration of the verdict."""
    config = evidence.verdict.engine
    if settings.engine_url:
        beside = Sidecar(settings.engine_url)
        await beside.until_ready(settings.ready_seconds, config, folder=evidence.folder)
        yield beside
        return
    host = EngineHost(
        python=settings.engine_python, threads=settings.engine_threads, ready_timeout=settings.ready_seconds
    )
    log_file = settings.directory / "engine.log"
    async with Engine.start(evidence.folder, config, host=host, name=settings.model_name, log=log_file) as started:
        yield started
        await started.stop(grace=_ENGINE_GRACE)


async def replay(url: str, evidence: Evidence, *, model_name: str) -> None:
    """Ask the verdict's probes again; ProbesDiffer unless every token is the evaluated one."""
    recorded = evidence.verdict.probes
    if not recorded:
        raise ProbesDiffer("the verdict holds no probes, so nothing shows that this engine serves what was evaluated")
    longest = max(1, *(len(different.token_ids) for different in recorded))
    replayed = await probe(url, [different.prompt for different in recorded], model=model_name, max_tokens=longest)
    if different := mismatches(recorded, replayed):
        raise ProbesDiffer(
            f"{len(different)} of {len(recorded)} probes answer otherwise than when they were evaluated; "
            f"first: {different[0].prompt!r}: {different[0].reason}"
        )


async def live(settings: AgentSettings, report: Report, proxy: Proxy, stop: asyncio.Event) -> None:
    """From fetching to the end; raises what makes the agent give up."""
    report.say(ReplicaState.FETCHING, "fetching and verifying the weights")
    async with _verified(settings, report) as evidence, engine(settings, evidence) as running:
        report.say(ReplicaState.PROBING, f"replaying {len(evidence.verdict.probes)} probes")
        await replay(running.url, evidence, model_name=settings.model_name)
        watch = DenyListWatch(settings, evidence.verdict, evidence.policy)
        await watch.check()  # loading may have taken long
        async with proxy.reaching(running.url):
            if not proxy.draining:
                report.say(ReplicaState.READY, "verified, probed and healthy")
            async with _watching(watch, proxy):
                await _serve(running, proxy, stop, every=settings.health_seconds)
                await _drain(proxy, settings.drain_seconds)


@asynccontextmanager
async def _watching(watch: DenyListWatch, proxy: Proxy) -> AsyncIterator[None]:
    """The block, cut short with the watch's error when the weights may not answer any more; also while it drains."""
    block = asyncio.current_task()
    assert block is not None  # only code of a task waits
    watching = asyncio.ensure_future(watch.run())

    def end(ended: "asyncio.Future[None]") -> None:
        if not ended.cancelled():
            proxy.refuse(str(ended.exception()))
            block.cancel()

    watching.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if watching.done() and not watching.cancelled() and (error := watching.exception()) is not None:
            block.uncancel()
            raise error from None
        raise
    finally:
        watching.cancel()


@asynccontextmanager
async def _verified(settings: AgentSettings, report: Report) -> AsyncIterator[Evidence]:
    """Verified weights, which stay in the cache as long as the block runs."""
    with cache_eviction.in_use(settings.model, settings.weights_dir):
        evidence = await asyncio.to_thread(gather, settings)
        report.say(ReplicaState.STARTING, "the engine loads the weights")
        yield evidence


async def _serve(running: RunningEngine, proxy: Proxy, stop: asyncio.Event, *, every: float) -> None:
    """Returns when told to stop; EngineGone as soon as the engine no longer answers."""
    while not stop.is_set():
        if not await running.ready():
            if proxy.draining and await _told_within(stop, _ENGINE_GRACE):
                return  # whoever stops the engine beside us stops us after it
            proxy.target = None
            raise EngineGone("the engine no longer answers")
        try:
            async with asyncio.timeout(every):
                await stop.wait()
        except TimeoutError:
            continue


async def _told_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


async def _drain(proxy: Proxy, seconds: float) -> None:
    proxy.begin_drain()
    try:
        async with asyncio.timeout(seconds):
            await proxy.idle()
    except TimeoutError:
        log.warning("requests still ran after %.0f s and were cut", seconds)


def is_final(error: PosologyError) -> bool:
    """Whether starting again could not help: everything but what is retryable by its class."""
    return not error.retryable
