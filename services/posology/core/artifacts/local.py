"""A folder as a store: temporary file, fsync, rename, fsync of the folder."""

import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from posology.core.artifacts.backend import Stored, failures_of
from posology.core.errors import InvalidInput
from posology.core.files import make_folder, sync_folder

_PARTIAL = ".partial"


class LocalBackend:
    """Keys are files under `root`; unfinished ones lie in `scratch` on the same file system."""

    def __init__(self, root: str | Path, *, scratch: Path | None = None) -> None:
        self.root = Path(root)
        self._scratch = scratch or self.root / _PARTIAL
        self.url = self.root.as_uri()

    @contextmanager
    def writing(self, key: str) -> Iterator["_LocalSink"]:
        """See Backend; the file becomes read-only, because what it holds never changes."""
        target = self.root / key
        scratch = self._scratch / uuid.uuid4().hex
        with failures_of(f"writing {target}"):
            scratch.parent.mkdir(parents=True, exist_ok=True)
            with scratch.open("xb") as file:
                try:
                    yield _LocalSink(file, scratch, target)
                finally:
                    # Gone already after a commit. After a full disk this is what gives the room back.
                    scratch.unlink(missing_ok=True)

    def open(self, key: str) -> IO[bytes]:
        """See Backend; a symbolic link is refused, it could lead out of the root."""
        path = self.root / key
        with failures_of(f"reading {path}"):
            self._refuse_links(path)
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise InvalidInput(f"{path} is not a plain file")
            return os.fdopen(descriptor, "rb")

    def info(self, key: str) -> Stored | None:
        """See Backend."""
        with suppress(FileNotFoundError, NotADirectoryError), failures_of_stat(self.root / key):
            return self._stored(self.root / key)
        return None

    def list(self, prefix: str) -> Iterator[Stored]:
        """See Backend."""
        for folder, _, names in os.walk(self.root / prefix):
            for name in names:
                with suppress(FileNotFoundError):
                    yield self._stored(Path(folder, name))

    def delete(self, key: str) -> None:
        """See Backend."""
        with failures_of(f"deleting {self.root / key}"):
            (self.root / key).unlink(missing_ok=True)

    def publishing(self) -> AbstractContextManager[None]:
        """See Backend."""
        return self._locked(fcntl.LOCK_SH)

    def collecting(self) -> AbstractContextManager[None]:
        """See Backend."""
        return self._locked(fcntl.LOCK_EX)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """The system gives the lock back when a process dies."""
        with failures_of(f"locking {self.root}"):
            make_folder(self.root)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def partial(self) -> Iterator[Stored]:
        """See Backend."""
        yield from self.list(_PARTIAL)

    def delete_partial(self, left: Stored) -> None:
        """See Backend."""
        self.delete(left.key)

    def delete_folder(self, prefix: str) -> None:
        """Remove everything below `prefix`, empty folders too."""
        with failures_of(f"deleting {self.root / prefix}"), suppress(FileNotFoundError):
            shutil.rmtree(self.root / prefix)

    def touch(self, key: str) -> bool:
        """Renew the time of last writing, so that gc takes `key` for young; False if it is gone."""
        try:
            os.utime(self.root / key)
        except (FileNotFoundError, PermissionError):  # another user's file is written anew
            return False
        return True

    def _refuse_links(self, path: Path) -> None:
        inside = path.relative_to(self.root).parts
        for depth in range(1, len(inside) + 1):
            if self.root.joinpath(*inside[:depth]).is_symlink():
                raise InvalidInput(f"{path} is reached by a symbolic link; it could lead out of {self.root}")

    def _stored(self, path: Path) -> Stored:
        status = path.lstat()
        key = path.relative_to(self.root).as_posix()
        return Stored(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


class _LocalSink:
    def __init__(self, file: IO[bytes], scratch: Path, target: Path) -> None:
        self._file = file
        self._scratch = scratch
        self._target = target

    def write(self, data: bytes, /) -> int:
        return self._file.write(data)

    def commit(self) -> None:
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        make_folder(self._target.parent)
        self._scratch.replace(self._target)
        sync_folder(self._target.parent)


@contextmanager
def failures_of_stat(path: Path) -> Iterator[None]:
    """Like failures_of, but a missing file stays FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError:
        with failures_of(f"looking at {path}"):
            raise
