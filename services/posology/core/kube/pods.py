"""Pods, as everybody here makes and reads them: the security that `restricted` asks for, and what hinders one."""

import re
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]

USER = 65532
STUCK = {
    "ErrImagePull": "its image can't be pulled",
    "ImagePullBackOff": "its image can't be pulled",
    "InvalidImageName": "the name of its image is wrong",
    "ErrImageNeverPull": "its image is not on the node",
    "CreateContainerConfigError": "its container can't be configured",
    "CreateContainerError": "its container can't be made",
    "RunContainerError": "its container can't be started",
}
"""Why a container waits for what waiting alone won't bring."""
_SHORT = re.compile(r"Insufficient ([A-Za-z0-9./_-]*[A-Za-z0-9])")


def pod_security() -> dict[str, Any]:
    """Of a pod under the Pod Security Standard `restricted`."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Of a container under the same standard, with a root file system that nobody writes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def condition(resource: Object, kind: str, *, status: str = "True") -> Object | None:
    """The condition of this type, if it has this status."""
    for each in resource.get("status", {}).get("conditions") or ():
        if each["type"] == kind and each["status"] == status:
            return dict(each)
    return None


def unscheduled(pod: Object, why: Object) -> str:
    """Names the resource that is missing first, then what the scheduler said in the condition `why`."""
    message = str(why.get("message", ""))
    missing = sorted(set(_SHORT.findall(message)))
    requests = pod["spec"]["containers"][0].get("resources", {}).get("requests", {})
    named = [f"{name} (asks for {requests[name]})" if name in requests else name for name in missing]
    hindrance = f"waits for a node with enough {', '.join(named)}" if named else "waits for a node that takes it"
    return f"{hindrance}: {message}" if message else hindrance


def shortened(text: str, longest: int) -> str:
    """At most `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
