"""What a platform team says about its nodes, once for workers and once for engines."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

QUANTITY = r"^([0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?)?$"
"""A quantity as Kubernetes spells it, or nothing."""


class Pool(BaseModel):
    """Nodes of one kind, and what a pod needs to get onto them. Keys are spelt as in Kubernetes."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    node_selector: dict[str, str] = {}
    """Labels that a node must have."""
    tolerations: list[dict[str, Any]] = []
    """Taints that a pod bears, as in a pod spec."""
    affinity: dict[str, Any] = {}
    """As in a pod spec."""
    gpu_resource: str = "nvidia.com/gpu"
    """Name of the resource that stands for one GPU, where a device plugin hands them out."""
    resource_claim_template: str = ""
    """ResourceClaimTemplate of one GPU in the namespace of the pods, where GPUs are handed out by dynamic resource
    allocation (resource.k8s.io/v1); nothing is asked of `gpu_resource` then."""
    runtime_class: str = ""
    """RuntimeClass, where the GPU runtime is not the default one."""
    scheduler_name: str = ""
    """Scheduler of the pods; empty: the cluster's default one."""
    priority_class: str = ""
    """PriorityClass of the pods."""
    shared_memory: str = Field(default="2Gi", min_length=1, pattern=QUANTITY)
    """Size of /dev/shm of a pod with GPUs; it counts as the pod's memory, and data loaders need it."""

    def placement(self, gpus: int) -> dict[str, Any]:
        """Fields of a pod's spec that bring it here, tolerations apart: pods have others beside the pool's."""
        claims = [{"name": c, "resourceClaimTemplateName": self.resource_claim_template} for c in self._claims(gpus)]
        fields = {
            "nodeSelector": dict(self.node_selector),
            "affinity": dict(self.affinity),
            "runtimeClassName": self.runtime_class,
            "schedulerName": self.scheduler_name,
            "priorityClassName": self.priority_class,
            "resourceClaims": claims,
        }
        return {name: value for name, value in fields.items() if value}

    def with_gpus(self, resources: Mapping[str, Any], gpus: int) -> dict[str, Any]:
        """A container's resources with so many GPUs: as amounts, or as claims; kinds without an amount are left out."""
        claims = [{"name": name} for name in self._claims(gpus)]
        amounts = {self.gpu_resource: str(gpus)} if gpus and not claims else {}
        both = {kind: {**resources.get(kind, {}), **amounts} for kind in ("requests", "limits")}
        return {kind: amount for kind, amount in both.items() if amount} | ({"claims": claims} if claims else {})

    def _claims(self, gpus: int) -> list[str]:
        return [f"gpu-{number}" for number in range(gpus)] if self.resource_claim_template else []
