"""What a teacher answered, item by item, on disk as it arrives: a killed job goes on where it was."""

import json
import os
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from posology.curation.teachers.usage import Usage


@dataclass(frozen=True)
class Record:
    """The raw text of an answer, or why there is none."""

    content: str = ""
    failure: str = ""
    detail: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Journal:
    """JSON lines of (key, record); a line that a crash cut off is ignored, and its item asked again."""

    def __init__(self, records: dict[str, Record], stream: IO[str]) -> None:
        self._records = records
        self._stream = stream
        self._lock = threading.Lock()
        self.last_failure = next((r.detail or r.failure for r in reversed(records.values()) if r.failure), "")

    @classmethod
    def load(cls, path: Path) -> "Journal":
        """Read what is there, cut a torn last line off, and open for appending.

        Failures are forgotten: a new attempt asks for them again, because the endpoint may have been mended.
        """
        records: dict[str, Record] = {}
        whole = 0
        raw = path.read_bytes() if path.exists() else b""
        for line in raw.splitlines(keepends=True):
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            record = Record(**entry["record"])
            if not record.failure:
                records[entry["key"]] = record
        if whole < len(raw):
            os.truncate(path, whole)
        return cls(records, path.open("a", encoding="utf-8"))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def get(self, key: str) -> Record | None:
        """The record of an item, if it was answered."""
        with self._lock:
            return self._records.get(key)

    def add(self, key: str, record: Record) -> None:
        """Store a record; on disk when this returns."""
        line = json.dumps({"key": key, "record": asdict(record)}, ensure_ascii=False)
        with self._lock:
            self._records[key] = record
            self.last_failure = record.detail if record.failure else self.last_failure
            self._stream.write(line + "\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def usage(self) -> Usage:
        """The tokens of all items that were ever answered."""
        with self._lock:
            records = list(self._records.values())
        return Usage(sum(r.prompt_tokens for r in records), sum(r.completion_tokens for r in records), len(records))

    def counts(self) -> tuple[int, Counter[str]]:
        """Items done, and failures by reason; an item counts once."""
        with self._lock:
            return len(self._records), Counter(r.failure for r in self._records.values() if r.failure)
