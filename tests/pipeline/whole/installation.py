"""A whole embedded installation in a folder, driven by the command line as a user drives it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from examples.demo.reviewer import review
from support.servers import REPOSITORY

from posology.client import Client, Installation
from posology.core.errors import Retryable
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun, Stage

T = TypeVar("T")
SPEC = Path(__file__).with_name("micro.yaml")


@dataclass(frozen=True)
class Whole:
    """One installation: `posology` runs the command line on it."""

    root: Path

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.root / "data"

    def posology(self, *arguments: str, wanted: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command; its exit code must be the wanted one."""
        command = [sys.executable, "-m", "posology.cli.app", "--data", str(self.data), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
        assert done.returncode == wanted, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        """What a command answers to programs."""
        return json.loads(self.posology("--output", "json", *arguments).stdout)

    def up(self) -> None:
        """Start everything."""
        folders = ("--allow", str(REPOSITORY / "examples"), "--allow", str(self.root))
        policy = ("--policy", str(Path(__file__).with_name("policy.yaml")))
        self.posology("up", *folders, "--env", "POSOLOGY_KEEP_TEXT=true", *policy)

    def submit(self, name: str, spec: Path = SPEC) -> None:
        """Submit a run of the micro spec."""
        places = ("--set", f"base=file:{self.root}/base", "--set", f"suites=file:{self.root}/suites")
        self.posology("submit", str(spec), "--name", name, *places)

    def complete(self, name: str, *, seconds: float = 500) -> FineTuneRun:
        """Stay with a run, answering its reviews, until it ends."""
        return asyncio.run(asyncio.wait_for(_complete(Installation.discover(self.data), name), seconds))


async def _complete(installation: Installation, name: str) -> FineTuneRun:
    async with Client(installation) as client:
        async for event in client.watch(name):
            for stage in event.run.stages:
                if stage.stage.startswith("review") and stage.state == Stage.PAUSED:
                    await patiently(lambda stage=stage: review(client, stage.resource))  # type: ignore[misc]
        return await patiently(lambda: client.show(name))


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Do it again while a service is away, as a person would."""
    while True:
        try:
            return await call()
        except Retryable:
            await asyncio.sleep(1)


def prepare(root: Path) -> None:
    """A random tiny base model and a few items of the sample suites."""
    tiny = REPOSITORY / "tests" / "pipeline" / "training" / "tiny_model.py"
    worker = os.environ.get("POSOLOGY_WORKER_PYTHON", str(REPOSITORY / ".venv/worker/bin/python"))
    subprocess.run([worker, str(tiny), json.dumps({str(root / "base"): {}})], check=True, capture_output=True)
    few_items(root)


def few_items(root: Path) -> None:
    """The first items of the everyday suite, as a suite of its own."""
    suites = root / "suites"
    suites.mkdir()
    everyday = (REPOSITORY / "examples/suites/everyday.jsonl").read_text().splitlines()
    (suites / "everyday.jsonl").write_text("\n".join(everyday[:24]) + "\n")


def stage(run: FineTuneRun, name: str) -> Stage:
    """One stage of a run."""
    return next(found for found in run.stages if found.stage == name)
