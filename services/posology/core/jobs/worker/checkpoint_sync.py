"""Handing a workdir on to the next attempt where it ends with its pod: through the staging area.

Below `<checkpoints>/<attempt>/` lie blobs named by their sha256, and a list of files that is written last.
Each attempt writes its own folder only, so that a worker that was believed dead can't spoil what the next
one reads; it begins with the newest list whose blobs are all there and whole.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from posology.core.artifacts.backend import CHUNK
from posology.core.artifacts.backends import below, open_backend
from posology.core.artifacts.manifest import check_path
from posology.core.errors import DataCorrupt, NotFound, PermissionDenied

log = logging.getLogger("posology.worker")

_LIST = "files.json"


@dataclass(frozen=True)
class _Saved:
    """One file of a checkpoint; `modified` in ns, so that an unchanged file is not read again."""

    path: str
    sha256: str
    size: int
    modified: int


class CheckpointSync:
    """The checkpoints of one job, as attempt number `attempt` sees them. `prefix` below the store `url`."""

    def __init__(self, workdir: Path, *, url: str, prefix: str, attempt: int) -> None:
        check_path(prefix)
        self._workdir = workdir
        self._backend = open_backend(url)
        self._own = open_backend(below(url, f"{prefix}/{attempt}"))  # all that can be written, where it is a mount
        self._prefix = prefix
        self._attempt = attempt
        self._known: Mapping[str, _Saved] = {}
        self._stored: frozenset[str] = frozenset()

    def take_over(self) -> int:
        """Fill the workdir with the newest whole checkpoint; the attempt that left it, 0 if there is none."""
        for attempt in range(self._attempt - 1, 0, -1):
            try:
                files = self._list(attempt)
                for file in files:
                    self._fetch(attempt, file)
            except (NotFound, PermissionDenied):  # S3 answers so for what is not there, unless all keys may be listed
                continue
            except (DataCorrupt, ValueError, KeyError, TypeError) as error:
                log.warning("a checkpoint is not whole", extra={"attempt": attempt, "reason": str(error)})
                continue
            self._remove_strangers({file.path for file in files})
            return attempt
        self._remove_strangers(set())
        return 0

    def save(self) -> None:
        """Hand on the workdir as it is now; only what changed travels. Files may grow meanwhile: as much of
        them is handed on as there was."""
        files = self._describe()
        for sha256, file in {file.sha256: file for file in files.values()}.items():
            if sha256 not in self._stored:
                self._put(file)
        self._write_list(files)
        stale = self._stored - {file.sha256 for file in files.values()}
        self._known, self._stored = files, frozenset(file.sha256 for file in files.values())
        for sha256 in stale:
            self._own.delete(_blob(sha256))

    # --- details ---------------------------------------------------------------------------------------

    def _describe(self) -> dict[str, _Saved]:
        saves: dict[str, _Saved] = {}
        for path in sorted(path for path in self._workdir.rglob("*") if path.is_file() and not path.is_symlink()):
            name, stat = path.relative_to(self._workdir).as_posix(), path.stat()
            known = self._known.get(name)
            if known is None or (known.size, known.modified) != (stat.st_size, stat.st_mtime_ns):
                known = _Saved(name, _sha256(path, stat.st_size), stat.st_size, stat.st_mtime_ns)
            saves[name] = known
        return saves

    def _put(self, save: _Saved) -> None:
        with (self._workdir / save.path).open("rb") as file, self._own.writing(_blob(save.sha256)) as sink:
            for chunk in _chunks(file, save.size):
                sink.write(chunk)
            sink.commit()

    def _write_list(self, files: Mapping[str, _Saved]) -> None:
        text = json.dumps([asdict(file) for file in files.values()])
        with self._own.writing(_LIST) as sink:
            sink.write(text.encode())
            sink.commit()

    def _list(self, attempt: int) -> list[_Saved]:
        with self._backend.open(f"{self._prefix}/{attempt}/{_LIST}") as file:
            files = [_Saved(**stored) for stored in json.loads(file.read())]
        for found in files:
            check_path(found.path)
        return files

    def _fetch(self, attempt: int, file: _Saved) -> None:
        """One file, checked on its way."""
        target = self._workdir / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with self._backend.open(f"{self._prefix}/{attempt}/{_blob(file.sha256)}") as source, target.open("wb") as to:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                to.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise DataCorrupt(f"{file.path} of attempt {attempt} is not what was saved")
        os.utime(target, ns=(file.modified, file.modified))

    def _remove_strangers(self, known: set[str]) -> None:
        """What a checkpoint that was not whole left here."""
        for path in self._workdir.rglob("*"):
            if path.is_file() and path.relative_to(self._workdir).as_posix() not in known:
                path.unlink()


def _blob(sha256: str) -> str:
    """Below the folder of an attempt."""
    return f"blobs/{sha256}"


def _sha256(path: Path, size: int) -> str:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in _chunks(file, size):
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := file.read(min(CHUNK, size))):
        yield chunk
        size -= len(chunk)
