"""Where an installation's services answer, and the token that they want."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posology.core import settings as environment
from posology.core.errors import FailedPrecondition
from posology.core.rpc.auth import read_token
from posology.core.settings import ServiceSettings

ENDPOINTS = "endpoints.json"
"""Written by `posology up` below the data directory."""
SERVICES = ("catalog", "orchestrator", "curation", "training", "evaluation", "serving", "gateway")


@dataclass(frozen=True)
class Installation:
    """One installation, embedded or on a cluster."""

    settings: ServiceSettings
    gateway_url: str = ""
    """Base URL of the OpenAI-compatible API."""
    processes: dict[str, Any] = field(default_factory=dict)
    """What `posology up` started, by service; empty on a cluster."""

    @classmethod
    def discover(cls, data_dir: Path | None = None) -> "Installation":
        """The installation of a data directory, or the one that POSOLOGY_*_ADDRESS variables describe.

        Variables win over what `posology up` wrote.
        """
        overrides = {"data_dir": data_dir} if data_dir else {}
        settings = environment.load(ServiceSettings, **overrides)
        written = _written(settings.data_dir)
        addresses = {
            f"{name}_address": address
            for name, address in written.get("addresses", {}).items()
            if f"POSOLOGY_{name.upper()}_ADDRESS" not in os.environ
        }
        files = _own_certificate(settings)
        gateway = os.environ.get("POSOLOGY_GATEWAY_URL", written.get("gatewayUrl", ""))
        settings = environment.load(ServiceSettings, **overrides, **addresses, **files)
        return cls(settings, gateway, written.get("processes", {}))

    def address(self, service: str) -> str:
        """host:port of a service."""
        address: str = getattr(self.settings, f"{service}_address")
        return address

    @property
    def is_personal(self) -> bool:
        """Whether the token is the user's own, and not the installation's."""
        return "POSOLOGY_TOKEN" in os.environ

    @property
    def token(self) -> str:
        """The bearer token to call with."""
        return os.environ.get("POSOLOGY_TOKEN") or read_token(self.settings.token_file)

    def require_gateway(self) -> str:
        """The gateway's URL; FailedPrecondition says how to get one."""
        if not self.gateway_url:
            raise FailedPrecondition(
                "no gateway is known; start the services with `posology up`, or set POSOLOGY_GATEWAY_URL"
            )
        return self.gateway_url


def _own_certificate(settings: ServiceSettings) -> dict[str, Path]:
    """Those of `tls` below the data directory, where nothing else names any."""
    folder = settings.data_dir / "tls"
    if settings.tls_ca_file is not None or not (folder / "ca.crt").exists():
        return {}
    named = {"tls_ca_file": "ca.crt", "tls_cert_file": "tls.crt", "tls_key_file": "tls.key"}
    return {field: folder / name for field, name in named.items() if (folder / name).exists()}


def _written(data_dir: Path) -> dict[str, Any]:
    path = data_dir / ENDPOINTS
    if not path.exists():
        return {}
    written: dict[str, Any] = json.loads(path.read_text())
    return written
