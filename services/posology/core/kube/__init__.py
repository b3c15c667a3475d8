"""Kubernetes as a REST API: where it is, calls with the errors of core.errors, leases and events."""

from posology.core.kube.access import Access
from posology.core.kube.client import Kube, Resource
from posology.core.kube.lease import Lease
from posology.core.kube.place import Place

__all__ = ["Access", "Kube", "Lease", "Place", "Resource"]
