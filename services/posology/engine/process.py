"""One vLLM process: started, awaited, and always ended with everything that it started."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from posology.core.errors import FailedPrecondition, Unavailable
from posology.core.jobs.launchers import processes
from posology.engine import guard
from posology.engine.command import command, environment
from posology.engine.config import EngineConfig, EngineHost, chat_template_digest
from posology.engine.probes import Probe, probe
from posology.engine.reach import http_client, url_of

LOG_TAIL = 30
"""Lines of the engine's log that an error shows."""

KILLED_WITHIN = 60.0
"""Seconds in which killed processes have given back their memory, tens of GB on a large model."""


class EngineFailed(Unavailable):
    """The engine ended or did not become ready; the message ends with the tail of its log."""


class EngineMismatch(FailedPrecondition):
    """The engine runs, but in another configuration than was asked for."""


class Engine:
    """A ready vLLM on a socket file (see `reach`). Its URL needs no key: nobody but this process's user reaches it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, *, name: str, log: Path) -> None:
        self.url = url_of(folder / "socket")
        self._folder = folder
        self.name = name
        self.log = log
        self.config = EngineConfig()
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        model_dir: Path,
        config: EngineConfig,
        *,
        host: EngineHost,
        name: str = "model",
        log: Path | None = None,
    ) -> AsyncIterator["Engine"]:
        """A ready engine over `model_dir`, killed with its process group at the end of the block.

        Raises EngineFailed with the log's tail, EngineMismatch when the template or engine version that
        `config` names is not the one found. `log` defaults to a temporary file.
        """
        engine = cls._launch(model_dir, config, host=host, name=name, log=log)
        try:
            await engine._until_ready(host.ready_timeout)
            await engine._observe(model_dir, config)
            yield engine
        finally:
            await engine.stop()

    @classmethod
    def _launch(
        cls, model_dir: Path, config: EngineConfig, *, host: EngineHost, name: str, log: Path | None
    ) -> "Engine":
        folder = Path(tempfile.mkdtemp(prefix="engine-"))  # its user's alone; short, since a socket's path is bounded
        log = log or folder / "engine.log"
        host.cache_dir.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-I", "-S", guard.__file__]
        words += command(model_dir, config, host, socket=folder / "socket", name=name)
        with log.open("ab") as out:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=environment(host, config),
                start_new_session=True,
            )
        return cls(process, folder, name=name, log=log)

    @property
    def pid(self) -> int:
        """Also the id of the process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def log_tail(self) -> str:
        """The last lines that the engine wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:])

    async def ready(self) -> bool:
        """True while the engine's process lives and its worker answers."""
        if not self.alive:
            return False
        try:
            async with http_client(self.url, timeout=5) as http:
                return (await http.get("/health")).status_code == 200
        except httpx.TransportError:
            return False

    async def probe(self, prompts: list[str], *, max_tokens: int = 32) -> tuple[Probe, ...]:
        """Greedy token ids of `prompts`, as `posology.engine.probe`."""
        return await probe(self.url, prompts, model=self.name, max_tokens=max_tokens)

    async def stop(self, *, grace: float = 0.0) -> None:
        """End the process group; with `grace`, SIGTERM first and that many seconds for running requests.

        The memory of every member is free on return. Raises EngineFailed if one can't be killed.
        """
        if grace and self.alive:
            self._process.terminate()
            await self._until_ended(grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        if self._process.stdin:
            self._process.stdin.close()
        await self._until_group_ended()
        (self._folder / "socket").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # where its log lies elsewhere

    async def _until_group_ended(self) -> None:
        deadline = time.monotonic() + KILLED_WITHIN
        while left := await asyncio.to_thread(processes.in_group, self.pid):
            if time.monotonic() > deadline:
                raise EngineFailed(f"killed {KILLED_WITHIN:.0f} s ago and still there: {left}")
            await asyncio.sleep(0.05)

    async def _until_ended(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, seconds)

    async def _until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not await self.ready():
            if not self.alive:
                raise EngineFailed(f"the engine ended with status {self._process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise EngineFailed(f"the engine was not ready after {seconds:.0f} s:\n{self.log_tail()}")
            await asyncio.sleep(0.2)

    async def _observe(self, model_dir: Path, requested: EngineConfig) -> None:
        async with http_client(self.url, timeout=10) as http:
            version = (await http.get("/version")).json()["version"]
            [model] = (await http.get("/v1/models")).json()["data"]
        self.config = requested.observed(
            chat_template=chat_template_digest(model_dir),
            engine_version=version,
            max_model_len=model["max_model_len"],
        )
        if differences := requested.completed(self.config).differences(self.config):
            raise EngineMismatch("the engine is not the one that was asked for: " + "; ".join(differences))
