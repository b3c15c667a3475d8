"""Kubernetes as a REST API: where it is, calls with the errors of core.errors, leases and events."""

from posology.core.kube.client import Kube, Resource
from posology.core.kube.cluster_config import ClusterConfig
from posology.core.kube.lease import Lease
from posology.core.kube.namespaced_client import NamespacedClient

__all__ = ["ClusterConfig", "Kube", "Lease", "NamespacedClient", "Resource"]
