"""Where the parts of an attempt lie, as the service tells its worker."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from posology.core.artifacts import Staging
from posology.core.files import write_atomically
from posology.core.jobs import spans
from posology.core.jobs.domain import Job, checkpoint_prefix, staging_prefix
from posology.core.jobs.service.supervision import Timing


@dataclass
class AttemptLocations:
    """`staging_url` takes what attempts leave, `stores` are the artifact URLs that workers read from.

    `service` is the address that workers call; it is known once the server listens. `service_file`, where
    there is one, tells it to workers that outlived a restart. `tls` names the files that workers call
    with (`ca_file`, `cert_file`, `key_file`); empty is plain text.
    """

    staging_url: str
    stores: Sequence[str]
    service_file: Path | None = None
    tls: Mapping[str, Path] = field(default_factory=dict)
    service: str = field(default="", init=False)

    @property
    def staging(self) -> Staging:
        return Staging(self.staging_url)

    def announce(self, address: str) -> None:
        """The server listens at `address`."""
        self.service = address
        if self.service_file is not None:
            write_atomically(self.service_file, address)

    def assignment(self, job: Job, token: str, timing: Timing) -> dict[str, Any]:
        """spec.json, as far as it does not depend on the launcher."""
        prefix = staging_prefix(job.name, job.attempt)
        local = _local(self.staging_url)
        return {
            "job": job.name,
            "kind": job.kind,
            "attempt": job.attempt,
            "token": token,
            "service": self.service,
            "spec": dict(job.spec),
            "staging": self.staging_url,
            "prefix": prefix,
            "stores": list(self.stores),
            "heartbeat": timing.heartbeat,
            "patience": timing.patience,
            "run": job.run,
            "trace": job.trace,
            "traceparent": spans.place_of(job).header(),
            **{name: str(path) for name, path in self.tls.items()},
            **({"output": str(local / prefix)} if local else {}),  # then nothing is copied on the way
            **({"service_file": str(self.service_file)} if self.service_file else {}),
        }

    def clean(self, job: Job) -> None:
        """Remove what the attempts of a job that is over left in the staging area. Blocking."""
        local = _local(self.staging_url)
        attempts = [staging_prefix(job.name, attempt) for attempt in range(1, job.attempt + 1)]
        for prefix in (*attempts, checkpoint_prefix(job.name)):
            if local is None:
                self.staging.remove(prefix)
            elif (local / prefix).exists():
                shutil.rmtree(local / prefix)


def _local(url: str) -> Path | None:
    """The folder of a `file:` URL or plain path; None for object stores."""
    parts = urlsplit(url)
    return Path(parts.path) if parts.scheme in {"", "file"} else None
