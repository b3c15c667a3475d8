"""Settings of the operator."""

import socket
from typing import ClassVar

from pydantic import Field

from posology.core.settings import ServiceSettings


class Settings(ServiceSettings):
    """Environment -> settings; each variable is the upper-case field name after POSOLOGY_."""

    service: ClassVar[str] = "operator"

    watch_namespaces: str = ""
    """Namespaces to serve, separated by commas; empty serves all of the cluster."""
    trust_submitted_by: bool = False
    """Whether an admission policy sees to it that a resource's annotation posology.dev/submitted-by tells the truth."""
    lease_namespace: str = ""
    """Where the lease lies by which replicas elect their leader; empty means the namespace of this pod."""
    lease_name: str = "posology-operator"
    """Its name; two operators for different namespaces need different ones."""
    deny_list_config_map: str = ""
    """ConfigMap, in the namespace of the lease, into which the signed deny-list is carried; empty: into none."""
    deny_list_namespaces: str = ""
    """More namespaces with that ConfigMap, separated by commas: those where engines run."""
    public_keys_config_map: str = ""
    """ConfigMap with the public keys, in the same namespaces; into it the policy of a ReleasePolicy resource in the
    namespace of the lease is carried. Empty: such resources are left alone."""
    identity: str = Field(default_factory=socket.gethostname)
    """How this replica names itself on the lease; unique among replicas (a pod's name is)."""
    lease_seconds: float = Field(default=15.0, ge=1)
    """A leader that vanished is replaced after this time."""
    poll_seconds: float = Field(default=2.0, gt=0)
    """How often to look for new runs, and at runs that move."""
    idle_seconds: float = Field(default=20.0, gt=0)
    """How seldom to look, at most, at runs in which nothing happens, such as those that wait for experts."""
    cancel_seconds: float = Field(default=60.0, ge=0)
    """How long a deleted resource stays while the orchestrator can't be told; its run is cancelled later then."""

    def namespaces(self) -> tuple[str, ...]:
        """The namespaces to serve; none = all."""
        return _names(self.watch_namespaces)

    def deny_list_places(self, home: str) -> tuple[str, ...]:
        """Every namespace with the deny-list's ConfigMap; `home` is that of the lease."""
        return tuple(dict.fromkeys((home, *_names(self.deny_list_namespaces))))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
