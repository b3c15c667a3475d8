"""An embedded installation: which processes it has, where they listen, what they are told."""

import hashlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posology.client.installation import ENDPOINTS, this_process
from posology.core.files import write_atomically

MODULES = {
    "orchestrator": "posology.orchestrator.app",  # the catalog is in it
    "curation": "posology.curation.app",
    "training": "posology.training.app",
    "evaluation": "posology.evaluation.app",
    "serving": "posology.serving.app",
    "gateway": "posology.gateway.app",
    "console": "posology.console.app",
}
PORTS = {name: 7410 + index for index, name in enumerate(MODULES)}
HTTP_PORT = 7480
PID_FILE = "up.pid"


@dataclass(frozen=True)
class Layout:
    """Folders and addresses of one embedded installation."""

    data_dir: Path
    addresses: Mapping[str, str]
    http: str
    environment: Mapping[str, str]
    """What the caller adds, for every process."""

    def environment_of(self, service: str) -> dict[str, str]:
        """The environment that a service is started with."""
        others = {f"POSOLOGY_{name.upper()}_ADDRESS": address for name, address in self.addresses.items()}
        return {
            **os.environ,
            **others,
            "POSOLOGY_CATALOG_ADDRESS": self.addresses["orchestrator"],
            "POSOLOGY_DATA_DIR": str(self.data_dir),
            "POSOLOGY_TOKEN_FILE": str(self.data_dir / "token"),
            "POSOLOGY_LISTEN": self.addresses[service],
            "POSOLOGY_READY_FILE": str(self.ready_file(service)),
            "POSOLOGY_HTTP_LISTEN": self.http,
            "POSOLOGY_GATEWAY_URL": f"http://{self.http}",
            "POSOLOGY_CONSOLE_LISTEN": self.addresses["console"],
            "POSOLOGY_CONSOLE_READY_FILE": str(self.ready_file("console")),
            **self.environment,
        }

    def ready_file(self, service: str) -> Path:
        """Written by a service when it serves."""
        return self.data_dir / "run" / f"{service}.json"

    def log_file(self, service: str) -> Path:
        """Its JSON log."""
        return self.data_dir / "logs" / f"{service}.log"

    def write_endpoints(self, processes: Mapping[str, int]) -> None:
        """Tell clients where to call, whole or not at all."""
        endpoints = {
            "addresses": {**self.addresses, "catalog": self.addresses["orchestrator"]},
            "gatewayUrl": f"http://{self.http}",
            "consoleUrl": f"http://{self.addresses['console']}",
            "processes": {"supervisor": os.getpid(), **processes},
            "writer": this_process(),
            "settings": self.settings,
            "allowed": [one for one in self.environment.get("POSOLOGY_ALLOWED_SOURCE_FOLDERS", "").split(":") if one],
        }
        write_atomically(self.data_dir / ENDPOINTS, json.dumps(endpoints, indent=2), mode=0o600)

    def forget_endpoints(self) -> None:
        """Nothing listens there any more; whoever does next must not get our token."""
        (self.data_dir / ENDPOINTS).unlink(missing_ok=True)

    @property
    def settings(self) -> dict[str, str]:
        """What the caller adds, as digests: enough to tell whether another `up` wants something else."""
        return {name: fingerprint(value) for name, value in self.environment.items()}

    def crash_file(self, service: str) -> Path:
        """How often a service ended by itself since the start, and with which code."""
        return self.data_dir / "run" / f"{service}.crashed"


def fingerprint(value: str) -> str:
    """A short digest of a setting, which may be a secret; with a salt, so that it can't be looked up."""
    return hashlib.scrypt(value.encode(), salt=b"posology.settings", n=2**10, r=8, p=1, dklen=16).hex()


def lay_out(data_dir: Path, *, environment: Mapping[str, str]) -> Layout:
    """Usual ports where they are free, others where they are not; the OpenAI API where the caller says, if he does."""
    for folder in ("run", "logs"):
        (data_dir / folder).mkdir(parents=True, exist_ok=True)
    for old in (data_dir / "run").iterdir():
        old.unlink()
    addresses = {name: f"127.0.0.1:{_free(port)}" for name, port in PORTS.items()}
    http = environment.get("POSOLOGY_HTTP_LISTEN") or f"127.0.0.1:{_free(HTTP_PORT)}"
    return Layout(data_dir, addresses, http, environment)


def environments(root: Path) -> dict[str, str]:
    """The Pythons of workers and engines that stand beside this one, as `make` lays them out."""
    pythons = {}
    for variable, role in (("POSOLOGY_WORKER_PYTHON", "worker"), ("POSOLOGY_ENGINE_PYTHON", "engine-cpu")):
        python = root / role / "bin" / "python"
        if variable not in os.environ and python.exists():
            pythons[variable] = str(python)
    return pythons


def beside() -> Path:
    """The folder that holds this Python's environment."""
    return Path(sys.prefix).parent


def _free(usual: int) -> int:
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on the loopback interface")
