"""`Jobs` as a service's settings describe them: the launcher that they choose, and where attempts find their files."""

import sys
from collections.abc import Mapping
from pathlib import Path

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.domain import Command
from posology.core.jobs.launchers.base import JobLauncher
from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.jobs.launchers.kubernetes.sts_credentials import StsCredentials
from posology.core.jobs.launchers.kubernetes.teams import TeamLauncher
from posology.core.jobs.launchers.local import LocalLauncher
from posology.core.jobs.service.jobs import Jobs
from posology.core.jobs.service.publisher import OnPublished
from posology.core.jobs.service.supervision import Timing
from posology.core.jobs.settings import JobSettings
from posology.core.model_endpoints.document import Registry
from posology.core.store import Database


def build_jobs(
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
        model_endpoints=Registry(settings.model_endpoints_dir),
    )


def _launcher(settings: JobSettings, service_file: Path) -> tuple[JobLauncher, Timing]:
    if settings.worker_pods is not None and settings.launcher == "kubernetes":
        pods = settings.worker_pods
        timing = Timing(grace=float(pods.grace_seconds), start=float(pods.start_seconds))
        return TeamLauncher(pods, service=settings.service, sessions=_sessions(settings, pods)), timing
    local = LocalLauncher(
        settings.data_dir / "jobs",
        python=settings.worker_python or sys.executable,
        cache=settings.data_dir / "cache" / "artifacts",
        secrets=settings.data_dir / "secrets",
        service_file=service_file,
    )
    return local, Timing()


def _sessions(settings: JobSettings, pods: PodSettings) -> StsCredentials | None:
    role = pods.storage_role
    return StsCredentials(role, candidates=settings.candidates_url, staging=settings.staging_url) if role else None


def _tls(settings: JobSettings) -> dict[str, Path]:
    """Local workers run as the same user, and call with the certificate of their service; pods bring their own."""
    files = {"ca_file": settings.tls_ca_file, "cert_file": settings.tls_cert_file, "key_file": settings.tls_key_file}
    local = settings.launcher == "local" and settings.tls_ca_file
    return {name: path for name, path in files.items() if path} if local else {}
