"""What a platform team says about its nodes, once for workers and once for engines."""

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
    gpu_resource: str = "nvidia.com/gpu"
    """Name of the resource that stands for one GPU."""
    runtime_class: str = ""
    """RuntimeClass, where the GPU runtime is not the default one."""
    priority_class: str = ""
    """PriorityClass of the pods."""
    shared_memory: str = Field(default="2Gi", min_length=1, pattern=QUANTITY)
    """Size of /dev/shm of a pod with GPUs; it counts as the pod's memory, and data loaders need it."""
