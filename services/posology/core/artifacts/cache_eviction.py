"""Room in a cache of verified copies: of those that nobody uses, the one used longest ago goes first."""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from posology.core.artifacts.backend import failures_of
from posology.core.artifacts.cache import locked
from posology.core.artifacts.manifest import check_digest
from posology.core.artifacts.store import ArtifactStore
from posology.core.errors import Exhausted

log = logging.getLogger("posology.artifacts")
_USED = ".use"


def materialize(store: ArtifactStore, digest: str, into: Path) -> Path:
    """As ArtifactStore.materialize; where there is no room left, copies that nobody uses go until there is."""
    while True:
        try:
            return store.materialize(digest, into)
        except Exhausted:
            if not evict(into):
                raise


@contextmanager
def in_use(digest: str, into: Path) -> Iterator[None]:
    """While the block runs, `evict` leaves the copy of `digest` below `into` alone, whoever calls it."""
    lock = into / f".{check_digest(digest)}{_USED}"
    with ExitStack() as stack:
        with failures_of(f"using {into}"):
            into.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(lock, fcntl.LOCK_SH))
            os.utime(lock)
        yield


def evict(into: Path) -> bool:
    """Remove the copy that was used longest ago and that nobody uses now; False if there is none."""
    with failures_of(f"making room in {into}"):
        by_use = sorted(into.glob(f".*{_USED}"), key=lambda path: path.stat().st_mtime)
        return any(map(_evicted, by_use))


def _evicted(lock: Path) -> bool:
    """The lock's file stays: two could hold locks of one name otherwise, one of them on a file that is gone."""
    name = lock.name.removeprefix(".").removesuffix(_USED)
    try:
        with locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            removed = [_removed(lock.with_name(left)) for left in (name, f".{name}.partial")]
    except BlockingIOError:
        return False
    return any(removed)


def _removed(folder: Path) -> bool:
    if not folder.exists():
        return False
    shutil.rmtree(folder)
    log.info("%s made room: nobody used it", folder)
    return True
