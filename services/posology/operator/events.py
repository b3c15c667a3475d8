"""Happenings as Events, which `kubectl describe` lists below a resource."""

import hashlib
from collections.abc import Mapping
from typing import Any

from posology.core.errors import AlreadyExists
from posology.core.kube import Kube, Resource
from posology.core.times import rfc3339, utc_now
from posology.operator.domain import KubeEvent

EVENTS = Resource("v1", "events")
_COMPONENT = "posology-operator"
_LONGEST = 1024


async def tell(kube: Kube, resource: Mapping[str, Any], happening: KubeEvent) -> None:
    """Tell it once: its name derives from what happened to which resource."""
    metadata = resource["metadata"]
    digest = hashlib.sha256(f"{metadata['uid']}/{happening.key}".encode()).hexdigest()[:16]
    now = rfc3339(utc_now())
    body = {
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": resource["apiVersion"],
            "kind": resource["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if happening.warning else "Normal",
        "reason": happening.reason,
        "message": happening.message[:_LONGEST],
        "source": {"component": _COMPONENT},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        await kube.create(EVENTS, metadata["namespace"], body)
    except AlreadyExists:
        return
