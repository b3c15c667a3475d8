"""Zip files as downloaded: DailyMed's releases are zips of zips, openFDA's downloads one file in a zip.

A zip stands for the files in it. Nothing is unpacked to disk; each file is read by itself under the same cap as any
other, and what a zip declares about sizes is not believed.
"""

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO

from posology.curation.sources import Unreadable

ZIP = ".zip"
OTHERS = (
    ".tar",
    ".tgz",
    ".tar.gz",
    ".tar.bz2",
    ".tar.xz",
    ".7z",
    ".rar",
    ".bz2",
    ".xz",
    ".zst",
    ".zip.gz",
    ".tbz2",
    ".txz",
    ".lz4",
    ".lzma",
    ".z",
    ".cab",
)
UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".filepart")
_MOST_MEMBERS = 200_000
_DEEPEST = 3  # a zip in a zip in a zip; DailyMed needs two


class Archive:
    """One zip, opened when it is first needed; `open_stream` gives its bytes, seekable."""

    def __init__(self, open_stream: Callable[[], IO[bytes]], depth: int = 1) -> None:
        self._open = open_stream
        self._depth = depth

    def members(self, most: int) -> Iterator[tuple[str, int, "Archive"]]:
        """(name, bytes as declared, archive) of every file, those of zips within included; Unreadable when damaged.

        `most` is the most bytes of one file. Names are relative, whatever the zip says.
        """
        entries = [entry for entry in self._zip().infolist() if not entry.is_dir()]
        if len(entries) > _MOST_MEMBERS:
            raise Unreadable(f"holds {len(entries):,} files, more than the {_MOST_MEMBERS:,} that a zip may have")
        names = Counter(entry.filename for entry in entries)
        if twice := next((name for name, count in names.items() if count > 1), ""):
            raise Unreadable(f"holds two files of the name {twice!r}, of which only one could be read; unpack it")
        for entry in entries:
            if "__MACOSX" in entry.filename or entry.filename.rsplit("/", 1)[-1].startswith("."):
                continue
            if not entry.filename.casefold().endswith(ZIP):
                yield entry.filename, entry.file_size, self
            elif self._depth >= _DEEPEST:
                raise Unreadable(f"nests zips more than {_DEEPEST} deep; unpack it")
            else:
                inner = Archive(_reader(self, entry.filename, most), self._depth + 1)
                for name, size, archive in inner.members(most):
                    yield f"{entry.filename}!{name}", size, archive

    def read(self, name: str, most: int) -> bytes:
        """The bytes of one file; Unreadable when it is larger than `most`, damaged or encrypted."""
        try:
            with self._zip().open(name) as stream:
                data = stream.read(most + 1)
        except RuntimeError:
            raise Unreadable("is encrypted; unpack it") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, KeyError) as error:
            raise Unreadable(f"cannot be read from its zip: {error}") from None
        if len(data) > most:
            raise Unreadable(f"unpacks to more than the {most:,} bytes that a source file may have")
        return data

    def _zip(self) -> zipfile.ZipFile:
        return _opened(self)

    def open(self) -> zipfile.ZipFile:
        """The zip, read anew; Unreadable when it is none."""
        try:
            return zipfile.ZipFile(self._open())
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise Unreadable(f"is no whole zip file: {error}") from None


@lru_cache(maxsize=4)
def _opened(archive: Archive) -> zipfile.ZipFile:
    """The zips last used stay open: a release has thousands of files in one."""
    return archive.open()


def _reader(outer: Archive, name: str, most: int) -> Callable[[], IO[bytes]]:
    return lambda: io.BytesIO(outer.read(name, most))


def relative(name: str) -> str:
    """A member's name without the parts that lead out of the zip."""
    parts = name.replace("\\", "/").replace("!", "/").split("/")
    return "/".join(part for part in parts if part not in {"", ".", ".."})
