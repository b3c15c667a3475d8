"""An object store behind fsspec: S3 and what speaks like it, GCS, Azure."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import IO, Any, cast

import fsspec

from posology.core.artifacts.backend import Stored, failures_of
from posology.core.errors import InvalidInput

_PART = 16 << 20  # bytes of one part of a multipart upload


class RemoteBackend:
    """Objects under `url`. An object store shows an upload whole or not at all, once it is complete."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url.rstrip("/")
        # Another process's writes must be seen at once: no cached listings, no shared instance.
        settings = {"use_listings_cache": False, "skip_instance_cache": True, **options}
        try:
            self._files, root = fsspec.core.url_to_fs(self.url, **settings)
        except (ValueError, ImportError, TypeError) as error:
            raise InvalidInput(f"{url} is no artifact store that this installation can use: {error}") from error
        self._root = root.rstrip("/")

    @contextmanager
    def writing(self, key: str) -> Iterator["_RemoteSink"]:
        """See Backend."""
        with failures_of(f"writing {self.url}/{key}"):
            sink = _RemoteSink(self._files, self._path(key))
            try:
                yield sink
            finally:
                sink.discard()

    def open(self, key: str) -> IO[bytes]:
        """See Backend; reads ahead, because readers go from start to end."""
        with failures_of(f"reading {self.url}/{key}"):
            return cast(IO[bytes], self._files.open(self._path(key), "rb", cache_type="readahead"))

    def info(self, key: str) -> Stored | None:
        """See Backend."""
        with failures_of(f"looking at {self.url}/{key}"):
            try:
                info = self._files.info(self._path(key))
            except FileNotFoundError:
                return None
        return self._stored(info) if info["type"] == "file" else None

    def list(self, prefix: str) -> Iterator[Stored]:
        """See Backend."""
        with failures_of(f"listing {self.url}/{prefix}"):
            try:
                listed = self._files.find(self._path(prefix), detail=True)
            except FileNotFoundError:
                return
        yield from (self._stored(info) for info in listed.values() if info["type"] == "file")

    def delete(self, key: str) -> None:
        """See Backend."""
        with failures_of(f"deleting {self.url}/{key}"):
            if self.info(key) is not None:
                self._files.rm_file(self._path(key))

    def publishing(self) -> AbstractContextManager[None]:
        """See Backend: an object store has no locks; publishers renew what is old instead."""
        return nullcontext()

    def collecting(self) -> AbstractContextManager[None]:
        """See Backend. Left open: gc looks at a blob and deletes it milliseconds later."""
        return nullcontext()

    def partial(self) -> Iterator[Stored]:
        """See Backend: unfinished multipart uploads, where the store lets us list them."""
        if "s3" not in self._protocols():
            return
        bucket, _, prefix = self._root.partition("/")
        with failures_of(f"listing unfinished uploads of {self.url}"):
            answer = self._files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
        for upload in answer.get("Uploads", []):
            yield Stored(f"{upload['Key']}#{upload['UploadId']}", 0, upload["Initiated"].astimezone(UTC))

    def delete_partial(self, left: Stored) -> None:
        """See Backend."""
        bucket = self._root.partition("/")[0]
        key, _, upload = left.key.rpartition("#")
        with failures_of(f"ending an unfinished upload of {key}"):
            self._files.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _protocols(self) -> tuple[str, ...]:
        named = self._files.protocol
        return (named,) if isinstance(named, str) else tuple(named)

    def _stored(self, info: Mapping[str, Any]) -> Stored:
        key = str(info["name"]).removeprefix(self._root).lstrip("/")
        return Stored(key, int(info["size"]), _modified(info))


class _RemoteSink:
    """One request for what fits into a part, a multipart upload for more."""

    def __init__(self, files: Any, path: str) -> None:
        self._files = files
        self._path = path
        self._small = bytearray()
        self._large: Any = None

    def write(self, data: bytes, /) -> int:
        if self._large is None and len(self._small) + len(data) <= _PART:
            self._small += data
            return len(data)
        if self._large is None:
            self._large = self._files.open(self._path, "wb", autocommit=False, block_size=_PART)
            self._large.write(bytes(self._small))
            self._small.clear()
        return int(self._large.write(data))

    def commit(self) -> None:
        if self._large is None:
            self._files.pipe_file(self._path, bytes(self._small))
            return
        self._large.close()  # uploads the last part
        self._large.commit()
        self._large = None

    def discard(self) -> None:
        """Forget what was not committed."""
        if self._large is not None:
            self._large.discard()
            self._large.closed = True  # or fsspec uploads the rest when the object is collected


def _modified(info: Mapping[str, Any]) -> datetime:
    modified = info.get("LastModified") or info.get("mtime") or info.get("created")
    if isinstance(modified, datetime):
        return modified.astimezone(UTC)
    # A store that tells no time: everything looks new, so gc deletes nothing there.
    return datetime.now(UTC)
