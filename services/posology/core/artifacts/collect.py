"""Garbage collection: what no kept artifact refers to, and what is old enough to be nobody's work in progress."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from posology.core.artifacts.backend import Backend, Stored
from posology.core.artifacts.readable import Readable
from posology.core.errors import NotFound


@dataclass(frozen=True)
class Collected:
    """What went (or would go, in a dry run): artifacts, sha256 of blobs, unfinished writes, bytes freed."""

    artifacts: tuple[str, ...]
    blobs: tuple[str, ...]
    partial: tuple[str, ...]
    size: int


def collect(store: Readable, backend: Backend, keep: set[str], older_than: timedelta, dry_run: bool) -> Collected:
    """See ArtifactStore.gc."""
    before = datetime.now(UTC) - older_than
    partial = [left for left in backend.partial() if left.modified < before]
    # Blobs are listed first: one that a publisher adds after this moment can't be on the list.
    blobs = [blob for blob in backend.list("blobs") if blob.modified < before]
    visible = list(store.list())
    gone = [entry for entry in visible if entry[0] not in keep and entry[1].modified < before]
    names = tuple(digest for digest, _ in gone)
    needed = set(_needed(store, {digest for digest, _ in visible}.difference(names)))
    unneeded = [blob for blob in blobs if _name(blob) not in needed]
    if not dry_run:
        _delete(backend, [stored for _, stored in gone], unneeded, partial, before)
    size = sum(blob.size for blob in [*unneeded, *partial])
    return Collected(names, tuple(map(_name, unneeded)), tuple(left.key for left in partial), size)


def _needed(store: Readable, digests: set[str]) -> Iterator[str]:
    """A damaged manifest stops the collection: what it needs is unknown. One that is gone needs nothing."""
    for digest in digests:
        with suppress(NotFound):
            yield from (file.sha256 for file in store.manifest(digest).files)


def _delete(
    backend: Backend,
    gone: list[Stored],
    unneeded: list[Stored],
    partial: list[Stored],
    before: datetime,
) -> None:
    """Manifests first: a crash leaves unreferenced blobs, never a broken artifact."""
    for stored in [*gone, *unneeded]:
        with backend.collecting():
            again = backend.info(stored.key)  # a publisher that wants it has renewed its time
            if again is not None and again.modified < before:
                backend.delete(stored.key)
    for left in partial:
        backend.delete_partial(left)


def _name(blob: Stored) -> str:
    return blob.key.rpartition("/")[2]
