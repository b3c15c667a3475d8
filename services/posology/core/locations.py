"""Which locations a spec may name: an installation's folders for `file:` and prefixes for `s3:`.

A spec comes from a user, so every location in it is judged here, with links followed first, and what could be read in
two ways is refused. A prefix admits what lies at or below it and nothing that merely begins with the same letters.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from posology.core.errors import InvalidInput, PermissionDenied

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class AllowedLocations:
    """What may be read; the names of the settings are for the errors."""

    folders: tuple[Path, ...] = ()
    prefixes: tuple[str, ...] = ()
    folders_setting: str = field(default="POSOLOGY_ALLOWED_SOURCE_FOLDERS", kw_only=True)
    prefixes_setting: str = field(default="POSOLOGY_ALLOWED_SOURCE_URIS", kw_only=True)

    def check(self, uri: str) -> None:
        """InvalidInput or PermissionDenied, saying what is allowed, unless `uri` may be read."""
        scheme = urlsplit(uri).scheme
        if scheme == "file":
            self.local(uri)
        elif scheme == "s3":
            self._check_prefix(uri)
        else:
            raise InvalidInput(f"{uri}: only file: and s3: URIs can be read, not {scheme or 'a path without a scheme'}")

    def local(self, uri: str) -> Path:
        """The path of a `file:` URI, links followed; errors as `check`."""
        path = local_path(uri).resolve()
        self.check_path(path)
        return path

    def check_path(self, path: Path) -> None:
        """PermissionDenied unless `path` lies, links followed, in one of the folders."""
        resolved = path.resolve()
        if not any(resolved.is_relative_to(folder.expanduser().resolve()) for folder in self.folders):
            listed = ", ".join(map(str, self.folders)) or "none"
            raise PermissionDenied(
                f"{path} is outside the folders that this installation allows ({listed}); "
                f"move it there, or add its folder to {self.folders_setting}"
            )

    def _check_prefix(self, uri: str) -> None:
        bucket, key = split_s3(uri)
        if not any(_below(bucket, key, prefix) for prefix in self.prefixes):
            listed = ", ".join(self.prefixes) or "none"
            raise PermissionDenied(
                f"{uri} is not below a prefix that this installation allows ({listed}); "
                f"move it there, or add its prefix to {self.prefixes_setting}"
            )


def local_path(uri: str) -> Path:
    """The absolute path of `file:/x` or `file:///x`, not resolved; InvalidInput for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise InvalidInput(f"{uri} names a host or is no file URI; a file URI is file:///absolute/path")
    if parts.query or parts.fragment or "?" in uri or "#" in uri:
        raise InvalidInput(f"{uri} holds ? or #; write them as %3F and %23 in a file URI")
    path = unquote(parts.path, errors="surrogateescape")
    if not path.startswith("/") or _CONTROL.search(path):
        raise InvalidInput(f"{uri} is a relative path or holds control characters; a file URI is file:///absolute/path")
    return Path(path)


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; InvalidInput for what a reader could take for something else.

    That is: `::` (fsspec chains file systems with it), a user or port, `?versionId=`, `.` and `..` as parts, and
    control characters.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    dots = any(part in {".", ".."} for part in unquote(key).split("/"))
    if not uri.startswith("s3://") or not _BUCKET.fullmatch(bucket):
        raise InvalidInput(f"{uri} is not like s3://bucket/path")
    if dots or "::" in uri or "?" in uri or "#" in uri or "\\" in uri or _CONTROL.search(unquote(uri)):
        raise InvalidInput(
            f"{uri} holds ::, ?, #, a backslash, a control character or a part . or ..; rename the object"
        )
    return bucket, key


def split_list(value: object, separator: str) -> object:
    """A setting that lists things: `a:b` -> (`a`, `b`); what is no text passes."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(separator) if part.strip())


def _below(bucket: str, key: str, prefix: str) -> bool:
    """Whether the object is at or below `prefix`; a prefix that cannot be read admits nothing."""
    try:
        allowed_bucket, allowed_key = split_s3(prefix)
    except InvalidInput:
        return False
    folder = allowed_key.rstrip("/")
    return bucket == allowed_bucket and (not folder or key == folder or key.startswith(f"{folder}/"))
