"""What an evaluation has measured so far, item by item, in the workdir: a killed one goes on where it was.

A journal is a file of lines, `<crc32> <json>`, one an item, each written whole by one call and never changed. It is
named by the digest of everything that decides its values (weights, items, settings, engine), so that an attempt with
other settings begins anew. Only ids and offsets stay in memory.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posology.core.canonical import canonical_digest

_CRC = 8
_CHUNK = 1 << 20


class Journal:
    """Values by id; one writer, as there is one attempt at a time. Ids may be any texts."""

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{canonical_digest(dict(key)).removeprefix('sha256:')}.jsonl"
        self._places: dict[str, tuple[int, int]] = {}
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._end = self._take_over()

    def close(self) -> None:
        """Nothing can be read or appended any more."""
        os.close(self._file)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def append(self, id: str, value: Any) -> None:
        """Keep a value of plain JSON; a process that dies during this leaves the line whole or none of it."""
        content = json.dumps([id, value], ensure_ascii=False, allow_nan=False).encode()
        line = b"%08x %b\n" % (zlib.crc32(content), content)
        written = os.write(self._file, line)
        if written != len(line):  # a full disk: what is torn would hide every line behind it
            os.ftruncate(self._file, self._end)
            raise OSError(f"{self.path.name}: {written} of {len(line)} bytes were written; the disk is full")
        self._places[id] = (self._end, len(line))
        self._end += len(line)

    def read(self, id: str) -> Any:
        """The value of an id; KeyError."""
        start, length = self._places[id]
        line = os.pread(self._file, length, start)
        return json.loads(line[_CRC + 1 :])[1]

    def _take_over(self) -> int:
        """Index what earlier attempts left; a torn or damaged line and all behind it are cut off. The end in bytes."""
        end = 0
        for line in self._lines():
            content = line[_CRC + 1 : -1]
            if line[-1:] != b"\n" or line[: _CRC + 1] != b"%08x " % zlib.crc32(content):
                break
            self._places[json.loads(content)[0]] = (end, len(line))
            end += len(line)
        os.ftruncate(self._file, end)
        return end

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb", buffering=_CHUNK) as stored:
            yield from stored
