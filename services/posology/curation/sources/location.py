"""Which files a source may name, and reading them with a cap on their size.

A spec comes from a user, so a `file:` URI reaches only below folders that the installation allows, links are
followed before that is judged, and nothing is read before its size is known to be acceptable.
"""

import gzip
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from posology.core.errors import InvalidInput, Unavailable
from posology.core.locations import AllowedLocations
from posology.curation.sources import Document, Unreadable


@dataclass(frozen=True)
class Limits(AllowedLocations):
    """Where sources may lie, and the most bytes of one file (after unpacking)."""

    max_bytes: int = 100_000_000


@dataclass(frozen=True)
class Found:
    """One file of a source that was not read yet; `size` in bytes as stored."""

    name: str
    size: int
    address: str
    store: Any = None  # an fsspec filesystem, None for local files


def find(uri: str, endings: Sequence[str], limits: Limits) -> list[Found]:
    """The files of a source in order of their names, plain or gzipped; a single file is taken whatever its ending."""
    limits.check(uri)
    found = _find_local(uri, endings, limits) if urlsplit(uri).scheme == "file" else _find_remote(uri, endings)
    if not found:
        raise InvalidInput(f"{uri} holds no file that ends in {', '.join(endings)} (or {endings[0]}.gz)")
    return sorted(found, key=lambda file: file.name)


def read(file: Found, limits: Limits) -> tuple[Document, str]:
    """The file's content, unpacked, with the sha256 of its bytes as stored; Unreadable when it is too large."""
    if file.size > limits.max_bytes:
        raise Unreadable(f"has {file.size:,} bytes, more than the {limits.max_bytes:,} that a source file may have")
    stored = _bytes(file, limits.max_bytes)
    packed = stored[:2] == b"\x1f\x8b"
    data = _unpack(stored, limits.max_bytes) if packed else stored
    return Document(file.name, data), hashlib.sha256(stored).hexdigest()


def _find_local(uri: str, endings: Sequence[str], limits: Limits) -> list[Found]:
    root = limits.local(uri)
    if not root.exists():
        raise InvalidInput(f"{uri} does not exist")
    if root.is_file():
        return [Found(root.name, root.stat().st_size, str(root))]
    return [
        Found(path.relative_to(root).as_posix(), path.stat().st_size, str(path.resolve()))
        for path in sorted(root.rglob("*"))
        if path.is_file() and _wanted(path.name, endings) and _stays_inside(path, limits)
    ]


def _stays_inside(path: Path, limits: Limits) -> bool:
    """A link inside an allowed folder may not lead out of it."""
    limits.check_path(path)
    return True


def _find_remote(uri: str, endings: Sequence[str]) -> list[Found]:
    import fsspec

    store, root = fsspec.core.url_to_fs(uri)
    try:
        listed = store.find(root, detail=True)
    except (OSError, PermissionError) as error:
        raise Unavailable(f"{uri} cannot be listed: {error}") from error
    entries = [(address, info) for address, info in listed.items() if info["type"] == "file"]
    alone = [address for address, _ in entries] == [root]
    return [
        Found(address.removeprefix(root).lstrip("/") or address.rsplit("/", 1)[-1], int(info["size"]), address, store)
        for address, info in entries
        if alone or _wanted(address, endings)
    ]


def _wanted(name: str, endings: Sequence[str]) -> bool:
    plain = name.casefold().removesuffix(".gz")
    return plain.endswith(tuple(endings)) and not name.rsplit("/", 1)[-1].startswith(".")


def _bytes(file: Found, most: int) -> bytes:
    try:
        with file.store.open(file.address, "rb") if file.store else Path(file.address).open("rb") as stream:
            data: bytes = stream.read(most + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    if len(data) > most:
        raise Unreadable(f"is larger than the {most:,} bytes that a source file may have")
    return data


def _unpack(stored: bytes, most: int) -> bytes:
    try:
        with gzip.open(io.BytesIO(stored)) as stream:
            data = stream.read(most + 1)
    except (OSError, EOFError) as error:
        raise Unreadable(f"is no whole gzip file: {error}") from None
    if len(data) > most:
        raise Unreadable(f"unpacks to more than the {most:,} bytes that a source file may have")
    return data


def lines(uri: str, limits: Limits) -> Iterator[str]:
    """The lines of a text source (suite files, general instructions, behaviour); InvalidInput names the file."""
    from posology.curation.sources.encoding import decode

    for file in find(uri, (".jsonl", ".ndjson", ".json"), limits):
        try:
            document, _ = read(file, limits)
            yield from decode(document.data).splitlines()
        except Unreadable as error:
            raise InvalidInput(f"{uri}: {file.name} {error}") from None


def read_digest(file: Found) -> str:
    """sha256 (hex) of the file's bytes as stored, read in pieces."""
    digest = hashlib.sha256()
    try:
        with file.store.open(file.address, "rb") if file.store else Path(file.address).open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise InvalidInput(f"{file.name} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
