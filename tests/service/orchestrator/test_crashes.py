"""kill -9 of a replica at seeded random points: every run ends, every stage's work is asked for once."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

from service.orchestrator.noop import effects, new_run, side
from sqlalchemy import select

from posology.core.store import Database
from posology.orchestrator import repository
from posology.orchestrator.domain import Phase

RUNS = 100


async def test_hundreds_of_stages_survive_replicas_killed_at_random_points(database_url: str) -> None:
    db = Database(database_url, schema="orchestrator")
    await db.migrate("posology.core.audit", "posology.orchestrator")
    async with db.begin() as tx:
        await tx.run_sync(side.create_all)
        for number in range(RUNS):
            await repository.create(tx, new_run(number))
    chance, killed = random.Random(20), 0
    kills = 6
    replicas = [start(database_url), start(database_url)]
    try:
        async with asyncio.timeout(120):
            while await open_runs(db):
                await asyncio.sleep(chance.uniform(0.8, 2.0))  # a replica needs most of a second to import
                victim = chance.randrange(2)
                if killed == kills:
                    continue
                replicas[victim].send_signal(signal.SIGKILL)
                replicas[victim].wait()
                replicas[victim], killed = start(database_url), killed + 1
    finally:
        for process in replicas:
            process.kill()
            process.wait()
    async with db.read() as tx:
        asked = (await tx.execute(select(effects.c.request_id))).scalars().all()
        found, _ = await repository.list_page(tx, "default", size=1000, token="")
    await db.close()
    assert killed >= 2
    assert {run.phase for run in found} == {Phase.SUCCEEDED}
    assert len(asked) == 3 * RUNS  # one request per stage: the attempt counter never moved
    assert all(stage.attempt == 1 for run in found for stage in run.stages)


async def open_runs(db: Database) -> int:
    async with db.read() as tx:
        counts = await repository.count_by_phase(tx)
    return sum(count for phase, count in counts.items() if not Phase(phase).ended)


def start(url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(Path(__file__).with_name("noop.py")), url])
