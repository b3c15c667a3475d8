"""What this process knows of its objects without asking: lists that a watch keeps fresh."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from posology.core import errors
from posology.core.kube.client import Kube, Resource
from posology.core.retries import Backoff

log = logging.getLogger("posology.kube")

_BACKOFF = Backoff(first=0.5, longest=15.0)
_MANY = 10  # failures: the longest pause


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
            self._task = asyncio.ensure_future(self._follow(kube, namespace))

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

    async def _follow(self, kube: Kube, namespace: str) -> None:
        failures = 1
        while True:
            try:
                await self._once(kube, namespace)
            except errors.Conflict:  # versions grow old: list again
                failures = 1
            except errors.PosologyError as error:
                log.info("watching again soon", extra={"what": self._kind.plural, "reason": error.message})
                failures += 1
            except Exception:
                log.exception("a defect in the watch")
                failures = _MANY
            self.fresh = False
            await asyncio.sleep(_BACKOFF.pause(failures))

    async def _once(self, kube: Kube, namespace: str) -> None:
        """One list, and its changes, until something breaks."""
        listed = await kube.select(self._kind, namespace, labels=self._labels)
        self._found = {item["metadata"]["name"]: item for item in listed["items"]}
        version, self.fresh = listed["metadata"]["resourceVersion"], True
        while True:
            async for change, changed in kube.watch(self._kind, namespace, version=version, labels=self._labels):
                version = changed["metadata"]["resourceVersion"]
                self._take(change, changed)

    def _take(self, change: str, changed: dict[str, Any]) -> None:
        name = changed["metadata"].get("name")
        if change in {"ADDED", "MODIFIED"}:
            self._found[name] = changed
        elif change == "DELETED":
            self._found.pop(name, None)
