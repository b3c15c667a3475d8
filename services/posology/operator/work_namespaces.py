"""Brings what workers and engines mount into the namespaces where they run: public keys, certificates, and the Secrets
that the chart's values name for them. No signing key is among it.

A Secret that is there already and was not copied by this stays: whoever runs the cluster may bring others for a team.
"""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from posology.core.errors import AlreadyExists, NotFound
from posology.core.kube import Kube, Resource

log = logging.getLogger("posology.credentials")
SECRETS, CONFIG_MAPS = Resource("v1", "secrets"), Resource("v1", "configmaps")
COPIED = "posology.dev/copied-from"
"""Annotation: the Secret or ConfigMap of which this one is a copy, and follows."""
Object = dict[str, Any]


class Copy(BaseModel):
    """One Secret to bring; JSON of the chart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Its name beside the services."""
    name: str
    """Its name where work runs."""
    keys: tuple[str, ...] = ()
    """The keys to bring; empty: all of them."""


class Copies(BaseModel):
    """All that is brought; JSON of the chart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: tuple[str, ...]
    secrets: tuple[Copy, ...]
    config_maps: tuple[str, ...]


async def bring(kube: Kube, copies: Copies) -> None:
    """Into every namespace; a Secret that is nowhere yet is named in the log, and brought by the next run."""
    home = kube.access.namespace
    for copy in copies.secrets:
        source = await _found(kube, SECRETS, home, copy.source)
        for namespace in copies.namespaces:
            if source is not None:
                data = source.get("data") or {}
                chosen = {key: value for key, value in data.items() if not copy.keys or key in copy.keys}
                body = {"type": source.get("type", "Opaque"), "data": chosen}
                await _put(kube, SECRETS, namespace, copy.name, body, source=f"{home}/{copy.source}")
            elif await _found(kube, SECRETS, namespace, copy.name) is None:
                log.warning("a Secret for work is missing", extra={"secret": copy.name, "namespace": namespace})
    for name in copies.config_maps:
        source = await kube.read(CONFIG_MAPS, home, name)
        for namespace in copies.namespaces:
            body = {"data": source.get("data") or {}}
            await _put(kube, CONFIG_MAPS, namespace, name, body, source=f"{home}/{name}")


async def _put(kube: Kube, kind: Resource, namespace: str, name: str, body: Object, *, source: str) -> None:
    metadata = {"name": name, "annotations": {COPIED: source}}
    try:
        await kube.create(kind, namespace, {"metadata": metadata, **body})
        return
    except AlreadyExists:
        existing = await kube.read(kind, namespace, name)
    if (existing["metadata"].get("annotations") or {}).get(COPIED) != source:
        return
    before: Mapping[str, str] = existing.get("data") or {}
    if before != body["data"]:
        gone = dict.fromkeys(before.keys() - body["data"].keys())
        await kube.merge(kind, namespace, name, {"data": {**gone, **body["data"]}})


async def _found(kube: Kube, kind: Resource, namespace: str, name: str) -> Object | None:
    try:
        return await kube.read(kind, namespace, name)
    except NotFound:
        return None
