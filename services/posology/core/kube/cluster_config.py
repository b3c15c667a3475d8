"""Where the API server is and who we are to it: a pod's service account, or a kubeconfig."""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from posology.core.errors import FailedPrecondition

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class ClusterConfig:
    """One API server and one identity; PEM as bytes."""

    server: str
    authority: bytes
    namespace: str = "default"
    token: str = ""
    token_file: Path | None = None
    """Read anew for every call: the kubelet replaces a pod's token every hour."""
    certificate: bytes = b""
    key: bytes = b""

    @classmethod
    def discover(cls) -> "ClusterConfig":
        """By KUBECONFIG, else as a pod, else by ~/.kube/config; FailedPrecondition says what was looked for."""
        if named := os.environ.get("KUBECONFIG"):
            return cls.from_kubeconfig(Path(named))
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            return cls.in_cluster()
        usual = Path("~/.kube/config").expanduser()
        if usual.exists():
            return cls.from_kubeconfig(usual)
        raise FailedPrecondition(f"no Kubernetes is known: not in a pod, KUBECONFIG is not set, there is no {usual}")

    @classmethod
    def in_cluster(cls, account: Path = _ACCOUNT) -> "ClusterConfig":
        """The service account of this pod."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        shown = f"[{host}]" if ":" in host else host
        return cls(
            server=f"https://{shown}:{port}",
            authority=_read(account / "ca.crt"),
            namespace=_read(account / "namespace").decode().strip(),
            token_file=account / "token",
        )

    @classmethod
    def from_kubeconfig(cls, path: Path) -> "ClusterConfig":
        """The current context of a kubeconfig, with a token or a client certificate."""
        config = yaml.safe_load(_read(path))
        chosen = _named(config, "context", config.get("current-context", ""), path)
        cluster = _named(config, "cluster", chosen["cluster"], path)
        user = _named(config, "user", chosen["user"], path)
        if "exec" in user or "auth-provider" in user:
            raise FailedPrecondition(
                f"{path} logs in through a plug-in, which services can't run; make a service account's kubeconfig, "
                f"see kubectl create token"
            )
        return cls(
            server=cluster["server"],
            authority=_data(cluster, "certificate-authority", path),
            namespace=chosen.get("namespace", "default"),
            token=user.get("token", ""),
            token_file=Path(user["tokenFile"]) if "tokenFile" in user else None,
            certificate=_data(user, "client-certificate", path),
            key=_data(user, "client-key", path),
        )

    def within(self, namespace: str) -> "ClusterConfig":
        """The same with another default namespace."""
        return replace(self, namespace=namespace)

    def bearer(self) -> str:
        """The token to send, empty with a certificate."""
        return self.token_file.read_text().strip() if self.token_file else self.token

    def tls(self) -> ssl.SSLContext:
        """Trusts the API server's authority only, and shows our certificate if there is one."""
        context = ssl.create_default_context(cadata=self.authority.decode() or None)
        if self.certificate:
            with tempfile.NamedTemporaryFile() as pem:  # ssl loads chains from files only
                pem.write(self.certificate + b"\n" + self.key)
                pem.flush()
                context.load_cert_chain(pem.name)
        return context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FailedPrecondition(f"{path} can't be read: {error.strerror}") from None


def _named(config: Mapping[str, Any], kind: str, name: str, path: Path) -> Mapping[str, Any]:
    for entry in config.get(f"{kind}s") or ():
        if entry["name"] == name:
            named: Mapping[str, Any] = entry[kind]
            return named
    raise FailedPrecondition(f"{path} has no {kind} {name!r}")


def _data(entry: Mapping[str, Any], key: str, kubeconfig: Path) -> bytes:
    if encoded := entry.get(f"{key}-data"):
        return base64.b64decode(encoded)
    return _read(kubeconfig.parent / entry[key]) if entry.get(key) else b""
