"""Carries the catalog's signed deny-list into a ConfigMap, which pods of engines mount.

A stolen serving process can neither write there nor sign; the operator can write and not sign, and agents trust the
signature alone.
"""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import logging

from posology.core.attestations.deny_list import FILE
from posology.core.controllers import ControlLoop
from posology.core.errors import PosologyError
from posology.core.kube import Kube, Resource
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc

log = logging.getLogger("posology.operator")
CONFIG_MAPS = Resource("v1", "configmaps")


class DenyListMirror:
    """The only writer of the ConfigMap's content; the chart made the ConfigMap."""

    def __init__(
        self, catalog: catalog_pb2_grpc.CatalogAsyncStub, kube: Kube, *, namespace: str, name: str, seconds: float
    ) -> None:
        self._catalog = catalog
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._seconds = seconds

    async def run(self) -> None:
        """Look until cancelled; nothing that is away for a while ends the operator."""
        await ControlLoop("deny-list", self.reconcile_once, interval=self._seconds, survives=PosologyError).run()

    async def reconcile_once(self) -> None:
        """One round."""
        stored = await self._kube.read(CONFIG_MAPS, self._namespace, self._name)
        published = (stored.get("data") or {}).get(FILE, "")
        newest = await self._catalog.GetDenyList(pb.GetDenyListRequest(published=published))
        if newest.envelope == published:
            return
        await self._kube.merge(CONFIG_MAPS, self._namespace, self._name, {"data": {FILE: newest.envelope}})
        log.info("deny-list", extra={"number": newest.number})
