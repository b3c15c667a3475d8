"""What this process knows of its objects without asking: lists that a watch keeps fresh."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from posology.core import errors
from posology.core.controllers import ControlLoop
from posology.core.kube.client import Kube, Resource
from posology.core.retries import Backoff

_BACKOFF = Backoff(first=0.5, longest=15.0)


class Informer:
    """Objects of one kind that the label selector `labels` selects. `fresh` while a watch follows them."""

    def __init__(self, kind: Resource, labels: str) -> None:
        self._kind = kind
        self._labels = labels
        self._found: dict[str, dict[str, Any]] = {}
        self._task: asyncio.Task[None] | None = None
        self.fresh = False

    def start(self, kube: Kube, namespace: str) -> None:
        """Follow them from now on; again is fine."""
        if self._task is None or self._task.done():
            self._loop = ControlLoop(
                f"watch of {self._kind.plural}",
                partial(self.reconcile_once, kube, namespace),
                interval=_BACKOFF.first,
                backoff=_BACKOFF,
                survives=Exception,
            )
            self._task = asyncio.ensure_future(self._loop.run())

    async def stop(self) -> None:
        task, self._task, self.fresh = self._task, None, False
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def get(self, name: str) -> dict[str, Any] | None:
        return self._found.get(name)

    def labelled(self, label: str, value: str) -> Iterator[dict[str, Any]]:
        """Those with this label."""
        for known in self._found.values():
            if known["metadata"].get("labels", {}).get(label) == value:
                yield known

    def put(self, made: dict[str, Any]) -> None:
        """What this process made itself is known at once."""
        self._found.setdefault(made["metadata"]["name"], made)

    async def reconcile_once(self, kube: Kube, namespace: str) -> None:
        """Follow them until something breaks."""
        try:
            await self._list_and_watch(kube, namespace)
        except errors.Conflict:  # versions grow old: list again
            return
        finally:
            self.fresh = False

    async def _list_and_watch(self, kube: Kube, namespace: str) -> None:
        listed = await kube.select(self._kind, namespace, labels=self._labels)
        self._found = {item["metadata"]["name"]: item for item in listed["items"]}
        version, self.fresh = listed["metadata"]["resourceVersion"], True
        while True:
            async for change, changed in kube.watch(self._kind, namespace, version=version, labels=self._labels):
                version = changed["metadata"]["resourceVersion"]
                self._loop.progressed()
                self._take(change, changed)

    def _take(self, change: str, changed: dict[str, Any]) -> None:
        name = changed["metadata"].get("name")
        if change in {"ADDED", "MODIFIED"}:
            self._found[name] = changed
        elif change == "DELETED":
            self._found.pop(name, None)
