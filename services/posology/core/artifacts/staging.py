"""Where worker attempts leave their files: `jobs/<id>/<attempt>/`, untrusted until published."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from posology.core.artifacts.backend import CHUNK
from posology.core.artifacts.backends import open_backend
from posology.core.artifacts.local import LocalBackend
from posology.core.artifacts.manifest import File, check_path
from posology.core.errors import InvalidInput


def describe(directory: Path) -> tuple[File, ...]:
    """Every file below `directory` with its hash; symbolic links to files count as their content."""
    if not directory.is_dir():
        raise InvalidInput(f"{directory} is not a folder")
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return tuple(_describe(path, path.relative_to(directory).as_posix()) for path in paths)


def _describe(path: Path, name: str) -> File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return File(name, sha256, file.tell())


class Staging:
    """Prefixes under one root; the worker's credentials cover its own prefix only."""

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self._backend = open_backend(url, options)

    def upload(self, directory: Path, prefix: str) -> tuple[File, ...]:
        """Put the files of `directory` under `prefix` and say what was put; repeatable.

        A directory that already lies there is described in place.
        """
        check_path(prefix)
        files = describe(directory)
        if self._is_here(directory, prefix):
            return files
        for file in files:
            self._put(directory / file.path, f"{prefix}/{file.path}")
        return files

    def open(self, prefix: str, path: str) -> IO[bytes]:
        """The bytes of one staged file, as they are."""
        check_path(prefix)
        check_path(path)
        return self._backend.open(f"{prefix}/{path}")

    def remove(self, prefix: str) -> None:
        """Forget everything under `prefix`."""
        check_path(prefix)
        if isinstance(self._backend, LocalBackend):
            self._backend.delete_folder(prefix)
            return
        for stored in self._backend.list(prefix):
            self._backend.delete(stored.key)

    def _put(self, source: Path, key: str) -> None:
        with source.open("rb") as file, self._backend.writing(key) as sink:
            while chunk := file.read(CHUNK):
                sink.write(chunk)
            sink.commit()

    def _is_here(self, directory: Path, prefix: str) -> bool:
        backend = self._backend
        return isinstance(backend, LocalBackend) and directory.resolve() == (backend.root / prefix).resolve()
