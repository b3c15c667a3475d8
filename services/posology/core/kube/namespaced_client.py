"""One namespace of a cluster: calls there, over a connection that the first of them opens."""

from contextlib import suppress
from typing import Any

from posology.core import errors
from posology.core.kube.client import Kube, Resource
from posology.core.kube.cluster_config import ClusterConfig
from posology.core.kube.informer import Informer

Object = dict[str, Any]


class NamespacedClient:
    """`namespace` empty: that of this process. `access` None: wherever the cluster is found."""

    def __init__(self, namespace: str = "", *, access: ClusterConfig | None = None) -> None:
        self._namespace = namespace
        self._access = access
        self._opened: Kube | None = None

    @property
    def kube(self) -> Kube:
        if self._opened is None:
            self._opened = Kube(self._access or ClusterConfig.discover())
        return self._opened

    @property
    def namespace(self) -> str:
        return self._namespace or self.kube.access.namespace

    async def close(self) -> None:
        """The next call opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    def follow(self, *watched: Informer) -> None:
        """Let them know what changes here; again is fine."""
        for each in watched:
            each.start(self.kube, self.namespace)

    async def read(self, kind: Resource, name: str) -> Object:
        """One object; NotFound."""
        return await self.kube.read(kind, self.namespace, name)

    async def find(self, kind: Resource, name: str) -> Object | None:
        """One object, or None."""
        try:
            return await self.read(kind, name)
        except errors.NotFound:
            return None

    async def select(self, kind: Resource, *, labels: str = "", fields: str = "") -> list[Object]:
        """Those that the selectors select."""
        return list((await self.kube.select(kind, self.namespace, labels=labels, fields=fields))["items"])

    async def create(self, kind: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """As Kube.create."""
        return await self.kube.create(kind, self.namespace, body, dry_run=dry_run)

    async def apply(self, kind: Resource, body: Object) -> Object:
        """As Kube.apply."""
        return await self.kube.apply(kind, self.namespace, body)

    async def merge(self, kind: Resource, name: str, change: Object) -> Object:
        """As Kube.merge."""
        return await self.kube.merge(kind, self.namespace, name, change)

    async def remove(self, kind: Resource, name: str, **options: Any) -> None:
        """Delete it; gone already is fine."""
        with suppress(errors.NotFound):
            await self.kube.delete(kind, self.namespace, name, **options)
