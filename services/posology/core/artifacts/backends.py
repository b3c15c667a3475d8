"""Where bytes lie: a local folder, or any object store that fsspec speaks to."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from posology.core.artifacts import credentials
from posology.core.artifacts.backend import Backend
from posology.core.artifacts.local import LocalBackend
from posology.core.artifacts.remote import RemoteBackend
from posology.core.errors import InvalidInput


def open_backend(url: str, options: Mapping[str, Any] | None = None) -> Backend:
    """The backend for `url`: `file:///folder`, a plain absolute path, or `s3://bucket/prefix` and the like.

    `s3://bucket/prefix#env:NAME` says where its storage options are (see credentials.resolve), so that each
    root has its own; `options` go first.
    """
    scheme = urlsplit(url).scheme
    if scheme in {"", "file"}:
        path = unquote(urlsplit(url).path) if scheme else url
        if not path.startswith("/"):
            raise InvalidInput(f"{url!r} must be an absolute path, like file:///var/lib/posology/artifacts")
        return LocalBackend(path)
    place, _, reference = url.partition("#")
    return RemoteBackend(place, options or credentials.resolve(reference))


def below(url: str, folder: str) -> str:
    """The URL of a folder in the store `url`, with the same credentials."""
    place, mark, reference = url.partition("#")
    return f"{place.rstrip('/')}/{folder}{mark}{reference}"
