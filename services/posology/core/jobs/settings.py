"""What a service with jobs reads from the environment, and its `Jobs` made from that."""

import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command
from posology.core.jobs.jobs import Jobs
from posology.core.jobs.local import LocalLauncher
from posology.core.jobs.publishing import OnPublished
from posology.core.settings import ServiceSettings
from posology.core.store import Database


class JobSettings(ServiceSettings):
    """A service that owns jobs derives its settings from this."""

    workers: int = Field(default=1, ge=0)
    """How many workers of this service run at the same time; 0 starts none."""
    worker_cpus: int | None = Field(default=None, ge=1)
    """CPUs and threads of one worker; all of them by default."""
    worker_memory: int | None = Field(default=None, ge=2**26)
    """Bytes of resident memory that a worker and its children may use; no limit by default."""
    keep_workers: bool = False
    """Whether workers go on when the service is ended on purpose; after a crash they always do."""


def local_jobs(
    settings: JobSettings,
    db: Database,
    *,
    commands: Mapping[str, Command],
    on_published: OnPublished | None = None,
) -> Jobs:
    """Jobs of an embedded service: local processes, files below the data directory."""
    service_file = settings.data_dir / "jobs" / f"{settings.service}.address"
    launcher = LocalLauncher(
        settings.data_dir / "jobs",
        python=settings.worker_python or sys.executable,
        cache=settings.data_dir / "cache" / "artifacts",
        secrets=settings.data_dir / "secrets",
        service_file=service_file,
    )
    candidates = ArtifactStore(settings.candidates_url)
    return Jobs(
        db,
        candidates,
        launcher,
        service=settings.service,
        commands=commands,
        staging_url=settings.staging_url,
        stores=(settings.candidates_url, settings.released_url),
        on_published=on_published,
        concurrency=settings.workers,
        service_file=service_file,
        keep_workers=settings.keep_workers,
        tls=_tls(settings),
    )


def _tls(settings: JobSettings) -> dict[str, Path]:
    """Local workers run as the same user, and call with the certificate of their service."""
    files = {"ca_file": settings.tls_ca_file, "cert_file": settings.tls_cert_file, "key_file": settings.tls_key_file}
    return {name: path for name, path in files.items() if path} if settings.tls_ca_file else {}
