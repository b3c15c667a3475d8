"""What a service with jobs reads from the environment, and its `Jobs` made from that."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command
from posology.core.jobs.jobs import Jobs
from posology.core.jobs.kubernetes.launcher import KubernetesLauncher
from posology.core.jobs.kubernetes.pods import PodSettings
from posology.core.jobs.kubernetes.sessions import Sessions
from posology.core.jobs.launcher import JobLauncher
from posology.core.jobs.local import LocalLauncher
from posology.core.jobs.publishing import OnPublished
from posology.core.jobs.tending import Timing
from posology.core.settings import ServiceSettings
from posology.core.store import Database


class JobSettings(ServiceSettings):
    """A service that owns jobs derives its settings from this."""

    launcher: Literal["local", "kubernetes"] = "local"
    """What runs workers: processes of this machine, or Jobs of a cluster, as `worker_pods` says."""
    worker_pods: PodSettings | None = None
    """JSON, see PodSettings: image, node pools, volumes and secrets of workers on Kubernetes."""
    workers: int = Field(default=1, ge=0)
    """How many workers of this service run at the same time; 0 starts none."""
    worker_cpus: int | None = Field(default=None, ge=1)
    """CPUs and threads of one worker; all of them by default."""
    worker_memory: int | None = Field(default=None, ge=2**26)
    """Bytes of resident memory that a worker and its children may use; no limit by default."""
    keep_workers: bool = False
    """Whether workers go on when the service is ended on purpose; after a crash they always do, and those on
    Kubernetes in any case."""

    @model_validator(mode="after")
    def _cluster_is_described(self) -> "JobSettings":
        if self.launcher == "kubernetes" and self.worker_pods is None:
            raise ValueError("POSOLOGY_LAUNCHER=kubernetes needs POSOLOGY_WORKER_PODS, which names the workers' image")
        return self


def local_jobs(
    settings: JobSettings,
    db: Database,
    *,
    commands: Mapping[str, Command],
    on_published: OnPublished | None = None,
) -> Jobs:
    """Jobs of a service with the launcher that its settings choose."""
    service_file = settings.data_dir / "jobs" / f"{settings.service}.address"
    launcher, timing = _launcher(settings, service_file)
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
        timing=timing,
        service_file=service_file,
        keep_workers=settings.keep_workers or settings.launcher == "kubernetes",
        tls=_tls(settings),
    )


def _launcher(settings: JobSettings, service_file: Path) -> tuple[JobLauncher, Timing]:
    if settings.worker_pods is not None and settings.launcher == "kubernetes":
        pods = settings.worker_pods
        timing = Timing(grace=float(pods.grace_seconds), start=float(pods.start_seconds))
        return KubernetesLauncher(pods, service=settings.service, sessions=_sessions(settings, pods)), timing
    local = LocalLauncher(
        settings.data_dir / "jobs",
        python=settings.worker_python or sys.executable,
        cache=settings.data_dir / "cache" / "artifacts",
        secrets=settings.data_dir / "secrets",
        service_file=service_file,
    )
    return local, Timing()


def _sessions(settings: JobSettings, pods: PodSettings) -> Sessions | None:
    role = pods.storage_role
    return Sessions(role, candidates=settings.candidates_url, staging=settings.staging_url) if role else None


def _tls(settings: JobSettings) -> dict[str, Path]:
    """Local workers run as the same user, and call with the certificate of their service; pods bring their own."""
    files = {"ca_file": settings.tls_ca_file, "cert_file": settings.tls_cert_file, "key_file": settings.tls_key_file}
    local = settings.launcher == "local" and settings.tls_ca_file
    return {name: path for name, path in files.items() if path} if local else {}
