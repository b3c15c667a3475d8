"""Which files a source may name, and reading them with a cap on their size.

A spec comes from a user, so a `file:` URI reaches only below folders that the installation allows, links are
followed before that is judged, and nothing is read before its size is known to be acceptable.
"""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from posology.core.errors import InvalidInput, Unavailable
from posology.core.locations import AllowedLocations
from posology.core.visible import visible
from posology.curation.sources import Document, Unreadable
from posology.curation.sources.archives import OTHERS, UNFINISHED, ZIP, Archive, relative


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
    archive: Archive | None = None  # the zip that it lies in, under the name `member`
    member: str = ""
    problem: str = ""  # why it cannot be read; such a file is listed, so that nothing is left out in silence


def find(uri: str, endings: Sequence[str], limits: Limits) -> list[Found]:
    """The files of a source in order of their names, plain, gzipped or in zips; a single file whatever its ending."""
    limits.check(uri)
    listed = _find_local(uri, endings, limits) if urlsplit(uri).scheme == "file" else _find_remote(uri, endings)
    files = [member for file in listed for member in _expanded(file, endings, limits)]
    if not files:
        raise InvalidInput(f"{uri} holds no file that ends in {', '.join(endings)} (or {endings[0]}.gz, or {ZIP})")
    return sorted(files, key=lambda file: file.name)


def _expanded(file: Found, endings: Sequence[str], limits: Limits) -> list[Found]:
    """A zip as the files in it; another kind of archive as one file that cannot be read."""
    name = file.name.casefold()
    if name.endswith(OTHERS) and not _wanted(name, endings):
        return [replace(file, problem="is an archive that is not read; unpack it, or make a zip of it")]
    if name.endswith(UNFINISHED):
        return [replace(file, problem="is the rest of a download that did not finish; load it again, or remove it")]
    if not name.endswith(ZIP) or _wanted(name, endings):
        return [file]
    outer = Archive(lambda: _stream(file))
    try:
        members = [
            Found(f"{file.name}/{relative(member)}", size, file.address, file.store, archive, member.rpartition("!")[2])
            for member, size, archive in outer.members(limits.max_bytes)
            if _wanted(member, endings)
        ]
    except Unreadable as error:
        return [replace(file, problem=str(error))]
    return members or [replace(file, problem=f"is a zip without any file that ends in {', '.join(endings)}")]


def read(file: Found, limits: Limits) -> tuple[Document, str]:
    """The file's content, unpacked, with the sha256 of its bytes as stored; Unreadable when it is too large."""
    if file.problem:
        raise Unreadable(file.problem)
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
        return [Found(visible(_utf8(root.name)), root.stat().st_size, str(root))]
    return [
        Found(visible(_utf8(path.relative_to(root).as_posix())), path.stat().st_size, str(path.resolve()))
        for path in sorted(root.rglob("*"))
        if path.is_file() and _listed(path.name, endings) and _stays_inside(path, limits)
    ]


def _utf8(name: str) -> str:
    """A name as records can hold it: bytes that are no UTF-8 are written out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
        if alone or _listed(address, endings)
    ]


def _listed(name: str, endings: Sequence[str]) -> bool:
    """Files of the format, and archives, which may hold some."""
    hidden = name.rsplit("/", 1)[-1].startswith(".")
    return _wanted(name, endings) or (name.casefold().endswith((ZIP, *OTHERS, *UNFINISHED)) and not hidden)


def _wanted(name: str, endings: Sequence[str]) -> bool:
    plain = name.casefold().removesuffix(".gz")
    return plain.endswith(tuple(endings)) and not name.rsplit("/", 1)[-1].startswith(".")


def _stream(file: Found) -> IO[bytes]:
    if file.store is None:
        return Path(file.address).open("rb")
    stored: IO[bytes] = file.store.open(file.address, "rb")
    return stored


def _bytes(file: Found, most: int) -> bytes:
    if file.archive:
        return file.archive.read(file.member, most)
    try:
        with _stream(file) as stream:
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
    """The records of a JSON source (suite files, general instructions, behaviour), each as one line of JSON."""
    for _, records in record_files(uri, limits):
        yield from (json.dumps(record) for _, record in records)


def record_files(uri: str, limits: Limits) -> Iterator[tuple[str, list[tuple[str, Mapping[str, Any]]]]]:
    """(name, [(where it stands, record)]) of every file of a JSON source.

    A JSON array gives its entries; lines are cut at line feeds alone. InvalidInput names a file that cannot be read.
    """
    from posology.curation.sources.encoding import decode
    from posology.curation.sources.records import json_records

    for file in find(uri, (".jsonl", ".ndjson", ".json"), limits):
        try:
            document, _ = read(file, limits)
            records = list(json_records(decode(document.data)))
        except Unreadable as error:
            raise InvalidInput(f"{uri}: {file.name} {error}") from None
        yield file.name, records


def read_digest(file: Found) -> str:
    """sha256 (hex) of the file's bytes as stored, read in pieces."""
    digest = hashlib.sha256()
    if file.archive and not file.problem:
        try:
            return hashlib.sha256(file.archive.read(file.member, file.size)).hexdigest()
        except Unreadable as error:
            return hashlib.sha256(str(error).encode()).hexdigest()  # a drop later; the same bytes, the same reason
    try:
        with _stream(file) as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise InvalidInput(f"{file.name} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
