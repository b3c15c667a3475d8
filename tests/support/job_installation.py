"""A small service with jobs: in this process for most tests, as a process of its own to be killed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command, Event, Job, NewJob, Origin, Resources, RetryPolicy
from posology.core.jobs.launchers.base import JobLauncher
from posology.core.jobs.launchers.local import LocalLauncher
from posology.core.jobs.service.jobs import SERVICE_NAME, Jobs, Timing
from posology.core.jobs.service.publisher import OnPublished
from posology.core.rpc.server import Server, run, running
from posology.core.settings import ServiceSettings
from posology.core.store import Database

HERE = Path(__file__).resolve().parent
KINDS = [
    "count",
    "fail",
    "die",
    "eat",
    "deaf",
    "full",
    "inherit",
    "reach",
    "odd",
    "limits",
    "look",
    "many",
    "fork",
    "quit",
    "diverge",
]
FAST = Timing(heartbeat=0.2, silence=8.0, start=20.0, grace=1.0, launching=2.0, interval=0.1, patience=60.0)


def micro_origin(job: Job) -> Origin:
    """Every micro job makes an evaluation; `look` and its like read the artifact that their spec names."""
    parents = (job.spec["input"],) if job.spec.get("input") else ()
    return Origin("evaluation", parents, observed=frozenset({"steps"}))


COMMAND = Command(
    "micro_worker",
    origin_of=micro_origin,
    resources=Resources(cpus=1),
    retry=RetryPolicy(failures=3, first=0.1, longest=0.5),
    environment={"PYTHONPATH": str(HERE)},
)


@dataclass
class Installation:
    """Everything below one folder."""

    root: Path
    command: Command = COMMAND
    timing: Timing = FAST
    concurrency: int = 2
    on_published: OnPublished | None = None
    keep_workers: bool = True
    launcher: JobLauncher | None = None
    database_url: str = ""
    db: Database = field(init=False)

    def __post_init__(self) -> None:
        url = self.database_url or f"sqlite:///{self.root}/db/micro.sqlite"
        self.db = Database(url, schema="micro")

    async def migrate(self) -> None:
        await self.db.migrate("posology.core.audit", "posology.core.jobs")

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(f"file://{self.root}/artifacts/candidates")

    def jobs(self) -> Jobs:
        """A new one each time: nothing may depend on what an earlier process remembered."""
        service_file = self.root / "jobs" / "micro.address"
        launcher = self.launcher or LocalLauncher(self.root / "jobs", python=sys.executable, service_file=service_file)
        return Jobs(
            self.db,
            self.store,
            launcher,
            service="micro",
            commands=dict.fromkeys(KINDS, self.command),
            staging_url=f"file://{self.root}/artifacts/staging",
            on_published=self.on_published,
            concurrency=self.concurrency,
            timing=self.timing,
            service_file=service_file,
            keep_workers=self.keep_workers,
        )

    def server(self, jobs: Jobs) -> Server:
        token = self.root / "token"
        token.write_text("secret")
        settings = ServiceSettings(data_dir=self.root, token_file=token, metrics_port=-1, drain_seconds=2)
        return Server(
            name="micro",
            settings=settings,
            add=jobs.add_to,
            service_names=(SERVICE_NAME,),
            exempt=(SERVICE_NAME,),
            on_ready=(jobs.ready,),
            background=(jobs.run,),
            on_drain=(jobs.drain,),
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Jobs]:
        jobs = self.jobs()
        async with running(self.server(jobs)):
            yield jobs

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The same service as a process; killed at the end if it still runs. Its workers stay."""
        started = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "job_installation.py"), str(self.root), start_new_session=True
        )
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()
            await started.wait()

    async def listening(self) -> None:
        """Wait for a `process` to have started: it writes its new address down."""
        file = self.root / "jobs" / "micro.address"
        await until(file.exists)
        file.unlink()

    def began(self, job: str) -> list[tuple[int, int, int]]:
        """(attempt, first step, pid) of every run of `count`."""
        path = self.root / "jobs" / job.removeprefix("namespaces/").replace("/", ".") / "began"
        lines = path.read_text().split("\n") if path.exists() else []
        return [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in lines if line)]


def named(name: str, kind: str = "count", *, request_id: str = "", **spec: object) -> NewJob:
    return NewJob(f"namespaces/test/evaluations/{name}", kind, spec, request_id)


async def finished(jobs: Jobs, name: str, *, within: float = 60.0) -> Job:
    """The job once it is over."""
    async with asyncio.timeout(within):
        async for _ in jobs.watch(name):
            pass
    return await jobs.get(name)


async def until(condition: Callable[[], bool], *, within: float = 30.0) -> None:
    """Poll a condition."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


async def events(jobs: Jobs, name: str, token: str = "") -> list[Event]:
    return [event async for event in jobs.watch(name, token)]


async def _serve(root: Path) -> None:
    installation = Installation(root)
    await installation.migrate()
    server = installation.server(installation.jobs())
    await run(replace(server, settings=server.settings.model_copy(update={"log_level": "ERROR"})))


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
