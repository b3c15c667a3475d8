"""What a service with jobs reads from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.settings import ServiceSettings


class JobSettings(ServiceSettings):
    """A service that owns jobs derives its settings from this."""

    launcher: Literal["local", "kubernetes"] = "local"
    """What runs workers: processes of this machine, or Jobs of a cluster, as `worker_pods` says."""
    worker_pods: PodSettings | None = None
    """JSON, see PodSettings: image, node pools, volumes and secrets of workers on Kubernetes."""
    workers: int = Field(default=1, ge=0)
    """How many workers of this service run at the same time; 0 starts none."""
    model_endpoints_dir: Path = Path()
    """Folder of the model endpoints that specs may name, a YAML file each; by default `model-endpoints` in the data
    directory."""
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
