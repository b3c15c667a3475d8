"""Reading the files that a spec names: below allowed folders and prefixes only, with a cap on their size."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec

from posology.core.errors import InvalidInput, PermissionDenied, Unavailable


@dataclass(frozen=True)
class Allowed:
    """Folders for `file:` URIs, prefixes for `s3:` URIs, and the most bytes of one file."""

    folders: tuple[Path, ...] = ()
    prefixes: tuple[str, ...] = ()
    max_bytes: int = 100_000_000


def read(uri: str, allowed: Allowed) -> bytes:
    """The bytes of one file; InvalidInput or PermissionDenied say what is allowed, Unavailable to try again."""
    place = _place(uri, allowed)
    try:
        with fsspec.open(place, "rb") as stream:
            content: bytes = stream.read(allowed.max_bytes + 1)
    except FileNotFoundError:
        raise InvalidInput(f"{uri} does not exist") from None
    except IsADirectoryError:
        raise InvalidInput(f"{uri} is a folder; name one file") from None
    except OSError as error:
        raise Unavailable(f"{uri} cannot be read: {error}") from error
    if len(content) > allowed.max_bytes:
        raise InvalidInput(f"{uri} has more than {allowed.max_bytes:,} bytes")
    return content


def digest(content: bytes) -> str:
    """`sha256:` and the hash of a file's bytes: a suite's identity."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _place(uri: str, allowed: Allowed) -> str:
    scheme = urlsplit(uri).scheme
    if scheme == "file":
        return str(_local(uri, allowed))
    if scheme != "s3":
        raise InvalidInput(f"{uri}: only file: and s3: URIs can be read, not {scheme or 'a path without a scheme'}")
    if not any(uri.startswith(prefix) for prefix in allowed.prefixes):
        named = ", ".join(allowed.prefixes) or "none"
        raise PermissionDenied(
            f"{uri} is not below a prefix that this installation allows ({named}); "
            "move the file there, or add its prefix to POSOLOGY_ALLOWED_SOURCE_URIS"
        )
    return uri


def _local(uri: str, allowed: Allowed) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidInput(f"{uri} is no absolute path; a file URI is file:///absolute/path")
    path = Path(unquote(parts.path)).resolve()  # links are followed before it is judged
    if not any(path.is_relative_to(folder.expanduser().resolve()) for folder in allowed.folders):
        named = ", ".join(map(str, allowed.folders)) or "none"
        raise PermissionDenied(
            f"{uri} is outside the folders that this installation allows ({named}); "
            "move the file there, or add its folder to POSOLOGY_ALLOWED_SOURCE_FOLDERS"
        )
    return path
