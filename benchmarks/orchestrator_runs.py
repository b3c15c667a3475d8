"""Runs per second of three no-op stages, pick-up delay, take-over after kill -9, and the cost of idle paused runs.

    python benchmarks/orchestrator_runs.py [--runs 300] [--paused 10000]

The controller and its database are real; the stages do nothing, so that the controller is what is measured.
"""

import argparse
import asyncio
import importlib.metadata
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from service.orchestrator.noop import Noop, new_run, reconciler  # noqa: E402
from support.servers import postgres_server  # noqa: E402

from posology.core.store import Database, now  # noqa: E402
from posology.orchestrator import repository  # noqa: E402
from posology.orchestrator.domain import Observation, Phase, Run, Stage, State  # noqa: E402
from posology.orchestrator.tables import runs  # noqa: E402


class Waits(Noop):
    """Pauses at its first stage, as a review does."""

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Wait for experts."""
        return Observation(State.PAUSED, "waits", resource=f"namespaces/default/reviews/{run.uid}")

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """Still waiting."""
        return await self.start(run, stage)


async def opened(url: str) -> Database:
    """An empty orchestrator database."""
    db = Database(url, schema="orchestrator", pool_size=16)
    await db.migrate("posology.core.audit", "posology.orchestrator")
    return db


async def throughput(url: str, runs: int) -> tuple[float, float]:
    """Runs per second from submission of all to the end of the last, and CPU milliseconds of the controller a run."""
    db = await opened(url)
    async with db.begin() as tx:
        for number in range(runs):
            await repository.create(tx, new_run(number))
    begun, used = time.perf_counter(), time.process_time()
    loop = asyncio.create_task(reconciler(db, Noop()).run())
    while await still_open(db):
        await asyncio.sleep(0.1)
    took, used = time.perf_counter() - begun, time.process_time() - used
    loop.cancel()
    await db.close()
    return runs / took, 1000 * used / runs


async def pick_up(url: str, runs: int = 100) -> list[float]:
    """Seconds from a run's submission, by another process than the one that reconciles, to its first stage's end."""
    db = await opened(url)
    loop = asyncio.create_task(reconciler(db, Noop()).run())
    delays = []
    for number in range(runs):
        async with db.begin() as tx:
            begun = time.perf_counter()
            await repository.create(tx, new_run(number))
        while not await started(db, number):
            await asyncio.sleep(0.002)
        delays.append(time.perf_counter() - begun)
    loop.cancel()
    await db.close()
    return delays


async def take_over(url: str) -> float:
    """Seconds from kill -9 of the replica that holds a run to its next stage, by another replica."""
    db = await opened(url)
    async with db.begin() as tx:
        await repository.create(tx, new_run(1))
    code = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[2]); "
        "from benchmarks.orchestrator_runs import hold; asyncio.run(hold(sys.argv[1]))"
    )
    victim = subprocess.Popen([sys.executable, "-c", code, url, str(ROOT)], stdout=subprocess.PIPE)
    assert victim.stdout is not None
    victim.stdout.readline()  # it holds the lease now
    loop = asyncio.create_task(reconciler(db, Noop()).run())
    begun = time.perf_counter()
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    while not await started(db, 1):
        await asyncio.sleep(0.01)
    took = time.perf_counter() - begun
    loop.cancel()
    await db.close()
    return took


async def hold(url: str) -> None:
    """Hold the lease of a run until killed, as a replica in the middle of a pass does."""
    db = Database(url, schema="orchestrator")

    class Slow(Noop):
        async def start(self, run: Run, stage: Stage) -> Observation:
            sys.stdout.write("held\n")
            sys.stdout.flush()
            await asyncio.sleep(3600)
            return await super().start(run, stage)

    await reconciler(db, Slow()).run()


async def idle(url: str, paused: int, seconds: float = 20) -> float:
    """Percent of one CPU that the controller takes while so many runs wait for experts."""
    db = await opened(url)
    waiting = [replace(new_run(n), phase=Phase.REVIEW_PENDING) for n in range(paused)]
    async with db.begin() as tx:
        for run in waiting:
            await repository.create(tx, run)
    loop = asyncio.create_task(reconciler(db, Waits()).run())
    while await awake(db):
        await asyncio.sleep(0.5)
    process = psutil.Process()
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(seconds)
    used = sum(process.cpu_times()[:2]) - before
    loop.cancel()
    await db.close()
    return 100 * used / seconds


async def still_open(db: Database) -> int:
    """Runs that have not ended."""
    async with db.read() as tx:
        counts = await repository.count_by_phase(tx)
    return sum(count for phase, count in counts.items() if not Phase(phase).ended)


async def started(db: Database, number: int) -> bool:
    """Whether the first stage of a run is done."""
    async with db.read() as tx:
        run = await repository.get(tx, "default", f"run-{number}")
    return run.stages[0].state is State.SUCCEEDED


async def awake(db: Database) -> bool:
    """Whether a run is due."""
    async with db.read() as tx:
        query = select(func.min(runs.c.wake_at)).where(runs.c.lease_until.is_(None))
        due, at = await tx.scalar(query), await now(tx)
    return due is not None and due <= at


@contextmanager
def databases() -> Iterator[dict[str, Any]]:
    """A maker of new databases per kind."""
    with tempfile.TemporaryDirectory() as folder, postgres_server() as postgres:
        count = iter(range(1000))
        yield {"SQLite": lambda: f"sqlite:///{folder}/{next(count)}.sqlite", "PostgreSQL": postgres.url}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--paused", type=int, default=10_000)
    options = parser.parse_args()
    versions = " ".join(f"{p} {importlib.metadata.version(p)}" for p in ("sqlalchemy", "aiosqlite", "psycopg"))
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} CPUs, {platform.machine()}")
    with databases() as kinds:
        for kind, new in kinds.items():
            rate, cpu = asyncio.run(throughput(new(), options.runs))
            delays = sorted(asyncio.run(pick_up(new())))
            taken = asyncio.run(take_over(new()))
            print(f"{kind}: {rate:.0f} runs/s of three no-op stages ({options.runs} runs), {cpu:.1f} ms of CPU a run")
            p99 = delays[int(len(delays) * 0.99) - 1]
            print(f"{kind}: pick-up p50 {statistics.median(delays):.3f} s, p99 {p99:.3f} s (aim < 1 s)")
            print(f"{kind}: take-over after kill -9 {taken:.2f} s (aim < 5 s)")
        used = asyncio.run(idle(kinds["SQLite"](), options.paused))
        print(f"SQLite: {options.paused:,} paused runs cost {used:.2f}% of one CPU (aim < 1%)")


if __name__ == "__main__":
    main()
