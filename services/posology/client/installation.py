"""Where an installation's services answer, and the token that they want."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from posology.core import settings as environment
from posology.core.errors import InvalidInput, Unavailable
from posology.core.rpc.auth import read_token
from posology.core.settings import ServiceSettings

ENDPOINTS = "endpoints.json"
"""Written by `posology up` and `posology connect` below the data directory."""
SERVICES = ("catalog", "orchestrator", "curation", "training", "evaluation", "serving", "gateway")


@dataclass(frozen=True)
class Installation:
    """One installation, embedded or on a cluster."""

    settings: ServiceSettings
    gateway_url: str = ""
    """Base URL of the OpenAI-compatible API."""
    processes: Mapping[str, Any] = field(default_factory=dict)
    """What `posology up` started, by service; empty on a cluster."""
    addresses: Mapping[str, str] | None = None
    """Where the services are known to be; None: where the settings say."""
    own_addresses: Mapping[str, str] = field(default_factory=dict)
    """Those that this installation wrote down itself: only they get the token that lies beside them."""
    connected: bool = False
    """Whether the services are on a cluster, and the artifacts' bytes with them."""

    @classmethod
    def discover(cls, data_dir: Path | None = None) -> "Installation":
        """The installation of a data directory, or the one that POSOLOGY_*_ADDRESS variables describe.

        Variables win over what `posology up` or `posology connect` wrote. InvalidInput if that is damaged.
        """
        overrides = {"data_dir": data_dir} if data_dir else {}
        settings = environment.load(ServiceSettings, **overrides)
        written = read_endpoints(settings.data_dir)
        if not is_running(written.get("writer", {})):
            written = {}  # its ports may be anybody's by now
        own = {name: str(address) for name, address in written.get("addresses", {}).items()}
        from_environment = {name for name in SERVICES if f"POSOLOGY_{name.upper()}_ADDRESS" in os.environ}
        fields = {f"{name}_address": own[name] for name in SERVICES if name in own and name not in from_environment}
        if written.get("tokenFile") and "POSOLOGY_TOKEN_FILE" not in os.environ:
            fields["token_file"] = str(settings.data_dir / written["tokenFile"])
        settings = environment.load(ServiceSettings, **overrides, **fields, **_own_certificate(settings))
        known = {name: getattr(settings, f"{name}_address") for name in from_environment | (own.keys() & set(SERVICES))}
        embedded = bool(written.get("processes"))
        bytes_here = "POSOLOGY_CANDIDATES_URL" in os.environ
        return cls(
            settings,
            os.environ.get("POSOLOGY_GATEWAY_URL", written.get("gatewayUrl", "")),
            written.get("processes", {}),
            known,
            own,
            connected=bool(known) and not embedded and not bytes_here,
        )

    def address(self, service: str) -> str:
        """host:port of a service; Unavailable if nobody said where it is: no port is tried on the off chance."""
        if self.addresses is None:
            return str(getattr(self.settings, f"{service}_address"))
        address = self.addresses.get(service) or (self.addresses.get("orchestrator") if service == "catalog" else None)
        if address is None:
            raise Unavailable(
                f"no {service} service is known in {self.settings.data_dir}; start one with `posology up`, or reach a "
                "cluster's with `posology connect`"
            )
        return address

    @property
    def is_personal(self) -> bool:
        """Whether the token is the user's own, and not the installation's."""
        return "POSOLOGY_TOKEN" in os.environ

    @property
    def token(self) -> str:
        """The bearer token of this installation, or the one that the environment names."""
        return os.environ.get("POSOLOGY_TOKEN") or read_token(self.settings.token_file)

    def token_for(self, service: str) -> str:
        """The token to call a service with; none for an address that neither this installation nor the user named."""
        named = self.addresses is None or self.is_personal or "POSOLOGY_TOKEN_FILE" in os.environ
        return self.token if named or self.own_addresses.get(service) == self.address(service) else ""

    def require_gateway(self) -> str:
        """The gateway's URL; Unavailable says how to get one."""
        if not self.gateway_url:
            raise Unavailable("no gateway is known; start the services with `posology up`, or set POSOLOGY_GATEWAY_URL")
        return self.gateway_url


def this_process() -> dict[str, float]:
    """This process, as `writer` of an endpoints file: what it wrote holds for as long as it lives."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def is_running(writer: Mapping[str, float]) -> bool:
    """Whether that process still runs: numbers are used again, start times are not."""
    try:
        process = psutil.Process(int(writer["pid"]))
        return abs(process.create_time() - writer["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def read_endpoints(data_dir: Path) -> dict[str, Any]:
    """What was written down for clients; empty where nothing was. InvalidInput if it is damaged or can't be read."""
    path = data_dir / ENDPOINTS
    try:
        written = json.loads(path.read_text())
        shapes = {"addresses": dict, "processes": dict, "writer": dict, "gatewayUrl": str, "tokenFile": str}
        if not isinstance(written, dict) or any(not isinstance(written.get(k, s()), s) for k, s in shapes.items()):
            raise ValueError("it is not what `posology up` writes")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is damaged ({error}); delete it, then run `posology up` again") from error
    return written


def _own_certificate(settings: ServiceSettings) -> dict[str, Path]:
    """Those of `tls` below the data directory, where nothing else names any."""
    folder = settings.data_dir / "tls"
    if settings.tls_ca_file is not None or not (folder / "ca.crt").exists():
        return {}
    named = {"tls_ca_file": "ca.crt", "tls_cert_file": "tls.crt", "tls_key_file": "tls.key"}
    return {field: folder / name for field, name in named.items() if (folder / name).exists()}
