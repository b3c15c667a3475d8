"""Resource names: `namespaces/{namespace}/{collection}/{id}`, and their parents `namespaces/{namespace}`."""

import re
from dataclasses import dataclass

from posology.core.errors import InvalidInput, Violation

NAMESPACE = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""A Kubernetes namespace (RFC 1123 label)."""
ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
EVERY = "-"
"""The namespace in a parent that means all of them, where a call allows that."""

_PARENT = re.compile(rf"namespaces/({NAMESPACE})")
_RESOURCE = re.compile(rf"namespaces/({NAMESPACE})/([A-Za-z]{{1,63}})/({ID})")


@dataclass(frozen=True)
class ResourceName:
    """A full name in its parts."""

    namespace: str
    collection: str
    id: str

    def __str__(self) -> str:
        return f"{parent_of(self.namespace)}/{self.collection}/{self.id}"


def parent_of(namespace: str) -> str:
    """`ns` -> `namespaces/ns`."""
    return f"namespaces/{namespace}"


def namespace_of_parent(parent: str, *, field: str = "parent", every: bool = False) -> str:
    """`namespaces/{ns}` -> ns; with `every`, `namespaces/-` gives EVERY. InvalidInput names `field`."""
    if every and parent == parent_of(EVERY):
        return EVERY
    match = _PARENT.fullmatch(parent)
    if match is None:
        raise InvalidInput.of([Violation(field, f"must be namespaces/<namespace>, not {parent!r}")])
    return match[1]


def parse(name: str, collection: str = "", *, field: str = "name") -> ResourceName:
    """The parts of a full name, of `collection` if that is named. InvalidInput names `field`."""
    match = _RESOURCE.fullmatch(name)
    if match is None or (collection and match[2] != collection):
        shape = f"namespaces/<namespace>/{collection or '<collection>'}/<id>"
        raise InvalidInput.of([Violation(field, f"must be {shape}, not {name!r}")])
    return ResourceName(*match.groups())


def namespace_of(name: str, *, field: str = "name") -> str:
    """The namespace of a full name."""
    return parse(name, field=field).namespace
