"""The artifact store: publish whole, never change, verify on every way out."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from posology.core.artifacts import cache, collect, credentials
from posology.core.artifacts.backend import CHUNK, Stored, failures_of
from posology.core.artifacts.backends import open_backend
from posology.core.artifacts.local import LocalBackend
from posology.core.artifacts.manifest import File, Manifest, check_digest
from posology.core.artifacts.readable import Writes
from posology.core.artifacts.staging import Staging, describe
from posology.core.errors import DataCorrupt, NotFound

MANIFESTS = "manifests"
BLOBS = "blobs"
# An unreferenced blob may be deleted by gc under a publisher's feet; older ones are written anew.
_RENEW_AFTER = timedelta(hours=1)
_IN_MEMORY = 8 << 20


class ArtifactStore:
    """Immutable artifacts under one root, each named by the digest of its manifest.

    Blocking and safe to share between threads: call it through `asyncio.to_thread` from a service.
    Give `candidates` and `released` a store each, and each its own credentials: `url#env:NAME`, `url#file:PATH`
    or the same reference as `credentials_from`.
    """

    def __init__(self, url: str, *, options: Mapping[str, Any] | None = None, credentials_from: str = "") -> None:
        self._backend = open_backend(url, options or credentials.resolve(credentials_from))
        self.url = self._backend.url

    # --- in ------------------------------------------------------------------------------------------

    def publish(
        self,
        directory: Path,
        *,
        kind: str,
        producer: str,
        parents: Iterable[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Publish every file below `directory`; the digest, once the artifact is visible whole.

        Doing it again, or at the same time elsewhere, gives the same artifact. A file that changes
        meanwhile is DataCorrupt, a full disk Exhausted; then nothing is visible.
        """
        manifest = Manifest(kind, describe(directory), tuple(parents), producer, parameters or {})
        return self._publish(manifest, lambda file: (directory / file.path).open("rb"))

    def publish_staged(
        self,
        staging: Staging,
        prefix: str,
        files: Iterable[File],
        *,
        kind: str,
        producer: str,
        parents: Iterable[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Publish what a worker left under `prefix`, if it is what the worker said: sha256 and size per file."""
        manifest = Manifest(kind, tuple(files), tuple(parents), producer, parameters or {})
        return self._publish(manifest, lambda file: staging.open(prefix, file.path))

    def copy_from(self, source: "ArtifactStore", digest: str) -> None:
        """Publish an artifact of another store here, byte for byte; who may release is the caller's rule."""
        manifest = source.manifest(digest)
        self._publish(manifest, lambda file: source._backend.open(blob_key(file.sha256)))

    def _publish(self, manifest: Manifest, read: Callable[[File], IO[bytes]]) -> str:
        with self._backend.publishing():
            for file in manifest.files:
                self._put_blob(file, read)
            # The manifest makes it visible, so it comes last, and only when every blob is certainly there.
            for file in manifest.files:
                if self._backend.info(blob_key(file.sha256)) is None:
                    self._put_blob(file, read)
            self._put(manifest_key(manifest.digest), manifest.to_bytes())
        return manifest.digest

    def _put_blob(self, file: File, read: Callable[[File], IO[bytes]]) -> None:
        if self._has_blob(file):
            return
        with read(file) as source, self._backend.writing(blob_key(file.sha256)) as sink:
            _copy_checked(source, sink, file)
            sink.commit()

    def _has_blob(self, file: File) -> bool:
        """True if the blob is there, sound and young enough to be safe from gc while we publish."""
        stored = self._backend.info(blob_key(file.sha256))
        if stored is None or stored.size != file.size:
            return False
        if isinstance(self._backend, LocalBackend):
            return self._backend.touch(stored.key) and self._is_sound(file)
        return datetime.now(UTC) - stored.modified < _RENEW_AFTER

    def _is_sound(self, file: File) -> bool:
        try:
            with self._backend.open(blob_key(file.sha256)) as source:
                _copy_checked(source, _Nowhere(), file)
        except (NotFound, DataCorrupt):
            return False
        return True

    def _put(self, key: str, content: bytes) -> None:
        with self._backend.writing(key) as sink:
            sink.write(content)
            sink.commit()

    # --- out -----------------------------------------------------------------------------------------

    def exists(self, digest: str) -> bool:
        """True if the artifact is visible."""
        return self._backend.info(manifest_key(digest)) is not None

    def manifest(self, digest: str) -> Manifest:
        """The manifest of `digest`, verified; NotFound if it was never published here."""
        try:
            with self._backend.open(manifest_key(digest)) as source:
                return Manifest.from_bytes(source.read(), digest=digest)
        except NotFound as error:
            raise NotFound(f"there is no artifact {digest} in {self.url}") from error

    def open(self, digest: str, path: str) -> IO[bytes]:
        """The file at `path`, verified before the first byte is handed out; DataCorrupt names it."""
        file = self.manifest(digest).file(path)
        kept = cast(IO[bytes], tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - returned
        try:
            self.read_into(digest, file, kept)
        except BaseException:
            kept.close()
            raise
        kept.seek(0)
        return kept

    def chunks(self, digest: str, path: str) -> Iterator[bytes]:
        """The bytes of one file as they are read, for files that are too large to be kept.

        DataCorrupt after the last piece if they are not as published: whoever takes them must then drop them all.
        """
        file = self.manifest(digest).file(path)
        hasher = hashlib.sha256()
        with failures_of(f"reading {path} of {digest}"), self._backend.open(blob_key(file.sha256)) as source:
            while chunk := source.read(CHUNK):
                hasher.update(chunk)
                yield chunk
        if hasher.hexdigest() != file.sha256:
            raise DataCorrupt(f"{digest}: {path} was altered; publish the artifact again")

    def read_into(self, digest: str, file: File, sink: Writes) -> None:
        """Copy one file of `digest` into `sink`; DataCorrupt names it if its bytes are not as published."""
        try:
            with self._backend.open(blob_key(file.sha256)) as source:
                _copy_checked(source, sink, file)
        except NotFound as error:
            raise DataCorrupt(f"{file.path} of {digest} is missing; publish the artifact again") from error
        except DataCorrupt as error:
            raise DataCorrupt(f"{digest}: {error.message}; publish the artifact again") from error

    def materialize(self, digest: str, into: Path) -> Path:
        """A local folder with the artifact's files, below the cache folder `into`; verified in this call.

        Several processes may share `into`; a damaged copy in it is mended. Files are read-only: copy
        what you want to change.
        """
        return cache.materialize(self, digest, into)

    def verify(self, digest: str) -> None:
        """Read every file; DataCorrupt names the first that is not as published."""
        for file in self.manifest(digest).files:
            self.read_into(digest, file, _Nowhere())

    def list(self) -> Iterator[tuple[str, Stored]]:
        """Digest of every visible artifact, with the stored manifest's size and time; in no order."""
        for stored in self._backend.list(MANIFESTS):
            yield "sha256:" + stored.key.rpartition("/")[2].removesuffix(".json"), stored

    # --- away ----------------------------------------------------------------------------------------

    def delete(self, digest: str) -> None:
        """Make the artifact invisible; its blobs go with the next `gc`. Already gone is fine."""
        self._backend.delete(manifest_key(digest))

    def gc(self, keep: Iterable[str], *, older_than: timedelta, dry_run: bool = False) -> collect.Collected:
        """Delete artifacts outside `keep`, blobs that nothing refers to, and what crashed writers left.

        Only things last written before `older_than` ago go: choose more than the longest publish takes.
        """
        return collect.collect(self, self._backend, set(keep), older_than, dry_run)


class _Nowhere:
    """Takes bytes that are read only to be checked."""

    def write(self, data: bytes, /) -> int:
        return len(data)


def blob_key(sha256: str) -> str:
    """Spread over 256 folders, because some file systems are slow with large ones."""
    return f"{BLOBS}/{sha256[:2]}/{sha256}"


def manifest_key(digest: str) -> str:
    """Where the manifest of `digest` lies."""
    return f"{MANIFESTS}/{check_digest(digest)}.json"


def _copy_checked(source: IO[bytes], sink: Writes, file: File) -> None:
    """Copy; DataCorrupt unless size and sha256 are the file's."""
    hasher, size = hashlib.sha256(), 0
    with failures_of(f"copying {file.path}"):
        while chunk := source.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
            if size > file.size:
                raise DataCorrupt(f"{file.path} is longer than the {file.size} bytes it should have")
            sink.write(chunk)
    if size != file.size:
        raise DataCorrupt(f"{file.path} is cut: {size} of {file.size} bytes")
    if hasher.hexdigest() != file.sha256:
        raise DataCorrupt(f"{file.path} was altered: its sha256 is not {file.sha256}")
