"""Reading the files that a spec names: below allowed folders and prefixes only, with a cap on their size."""

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

import fsspec

from posology.core.errors import InvalidInput, Unavailable
from posology.core.locations import AllowedLocations


@dataclass(frozen=True)
class Allowed(AllowedLocations):
    """Where suites may lie, and the most bytes of one file."""

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
    allowed.check(uri)
    return str(allowed.local(uri)) if urlsplit(uri).scheme == "file" else uri
