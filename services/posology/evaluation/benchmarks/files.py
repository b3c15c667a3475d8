"""Bytes of one published file -> its records: CSV, JSON, JSON lines, parquet, gzip, or a zip of such."""

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from posology.core.errors import InvalidInput
from posology.evaluation.benchmarks import parquet
from posology.evaluation.benchmarks.form import Record

MOST_BYTES = 100_000_000
"""Of all that a zip unpacks to."""
MOST_FILES = 1000
_ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".gz")
_SPLITS = ("train", "dev", "val", "validation", "test")
_HEADLESS = ("question", "A", "B", "C", "D", "answer")
"""Columns of MMLU's files, which have no header."""


@dataclass(frozen=True)
class Table:
    """The records of one file; `name` is the member's in a zip, empty otherwise; each record with its number."""

    name: str
    fields: frozenset[str]
    records: tuple[tuple[int, Record], ...]
    broken: tuple[int, ...] = ()
    """Numbers of the lines that are no JSON object."""


def tables(content: bytes, name: str) -> Iterator[Table]:
    """Every table of the file; InvalidInput says what cannot be read. Nothing for what is no table at all."""
    if content.startswith(b"PK\x03\x04") or content.startswith(b"PK\x05\x06"):
        for member, unpacked in _members(content, name):
            place = f"{name}: {member}"
            yield from _table(plain(unpacked, place), place, PurePosixPath(member).stem)
    else:
        yield from _table(content, name, "")


def plain(content: bytes, name: str) -> bytes:
    """What a gzip packs, and the rows of a parquet file as JSON lines; anything else as it is."""
    if content.startswith(b"\x1f\x8b"):
        content = _gunzipped(content, name)
    return parquet.as_lines(content, name) if content.startswith(parquet.MAGIC) else content


def _gunzipped(content: bytes, name: str) -> bytes:
    """The members of a gzip one after the other."""
    unpacked = bytearray()
    while content:
        one = zlib.decompressobj(wbits=31)
        try:
            unpacked += one.decompress(content, MOST_BYTES + 1 - len(unpacked))
        except zlib.error as error:
            raise InvalidInput(f"{name}: is no whole gzip ({error})") from None
        if len(unpacked) > MOST_BYTES:
            raise InvalidInput(f"{name}: the gzip unpacks to more than {MOST_BYTES:,} bytes")
        if not one.eof:
            raise InvalidInput(f"{name}: is no whole gzip (it ends too early)")
        content = one.unused_data.lstrip(b"\0")
    return bytes(unpacked)


def _members(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise InvalidInput(f"{name}: is no whole zip ({error})") from None
    members = [m for m in archive.infolist() if _is_data(m)]
    if not members or len(members) > MOST_FILES:
        raise InvalidInput(
            f"{name}: the zip holds {len(members)} files {', '.join(_ENDINGS)}; 1 to {MOST_FILES} are read"
        )
    splits = {split for m in members if (split := _split(m.filename))}
    if len(splits) > 1:
        raise InvalidInput(f"{name}: the zip mixes the splits {', '.join(sorted(splits))}; pack one of them")
    left = MOST_BYTES
    for member in members:
        try:
            with archive.open(member) as stream:
                unpacked = stream.read(left + 1)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
            raise InvalidInput(f"{name}: {member.filename} cannot be unpacked ({error})") from None
        left -= len(unpacked)
        if left < 0:
            raise InvalidInput(f"{name}: the zip unpacks to more than {MOST_BYTES:,} bytes")
        yield member.filename, unpacked


def _is_data(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not member.is_dir() and not hidden and path.suffix.lower() in _ENDINGS


def _split(member: str) -> str:
    path = PurePosixPath(member)
    last = path.stem.rsplit("_", 1)[-1]
    return next((part for part in (last, path.parent.name) if part in _SPLITS), "")


def _table(content: bytes, place: str, member: str) -> Iterator[Table]:
    try:
        body = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{place}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    start = body[:4096].lstrip()[:1]
    broken: list[int] = []
    if start in ("{", "["):
        records, broken = _of_json(body)
    elif start:
        records = _of_csv(body, place)
    else:
        records = []
    if records:
        yield Table(member, frozenset(records[0][1]), tuple(records), tuple(broken))


def _of_json(body: str) -> tuple[list[tuple[int, Record]], list[int]]:
    """One array or object of records, or a record a line. Nothing where the first line is no record."""
    first = body.lstrip().split("\n", 1)[0]
    if not isinstance(record := _loaded(first), dict) or _is_keyed(record):
        return _of_document(_loaded(body)), []
    records: list[tuple[int, Record]] = []
    broken: list[int] = []
    for row, line in enumerate(body.split("\n"), start=1):
        if line.strip():
            record = _loaded(line)
            if isinstance(record, dict):
                records.append((row, record))
            else:
                broken.append(row)
    return records, broken


def _of_document(document: Any) -> list[tuple[int, Record]]:
    if isinstance(document, dict):
        if _is_keyed(document):
            document = [{"id": key, **record} for key, record in document.items()]
        else:
            document = next((v for v in document.values() if _is_records(v)), [document])
    return list(enumerate(document, start=1)) if _is_records(document) else []


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def _is_keyed(document: dict[str, Any]) -> bool:
    """An object of records by their id, as PubMedQA is published."""
    values = list(document.values())
    return bool(values) and all(isinstance(v, dict) and "QUESTION" in v for v in values)


def _loaded(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _of_csv(body: str, place: str) -> list[tuple[int, Record]]:
    rows: list[tuple[int, list[str]]] = []
    lines = csv.reader(io.StringIO(body, newline=""), strict=True)
    try:
        rows.extend((lines.line_num, row) for row in lines if row)
    except csv.Error as error:
        raise InvalidInput(f"{place}:{lines.line_num}: is no CSV ({error})") from None
    header = [column.strip() for column in rows[0][1]]
    if len(header) == len(_HEADLESS) and header[-1] in ("A", "B", "C", "D"):
        header = list(_HEADLESS)
    else:
        rows = rows[1:]
    for line, row in rows:
        if len(row) != len(header):
            raise InvalidInput(f"{place}:{line}: has {len(row)} columns, the first row has {len(header)}")
    return [(line, dict(zip(header, row, strict=True))) for line, row in rows] or [(1, dict.fromkeys(header, ""))]
