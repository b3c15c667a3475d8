"""What an artifact is: files and their origin, named by a digest that depends on nothing else."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from posology.core.canonical import canonical_json
from posology.core.errors import DataCorrupt, InvalidInput, Violation

KINDS = (
    "base-model",
    "dataset",
    "general",
    "preferences",
    "preflight",
    "review",
    "adapter",
    "model",
    "evaluation",
    "verdict",
    "suites",
)
FORMAT = "posology.artifact/v1"
MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".jinja": "text/plain",
    ".md": "text/markdown",
    ".safetensors": "application/vnd.safetensors",
    ".txt": "text/plain",
    ".xml": "application/xml",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class File:
    """One file: its path inside the artifact, sha256 in hex (no prefix), size in bytes, media type."""

    path: str
    sha256: str
    size: int
    media_type: str = ""

    def __post_init__(self) -> None:
        check_path(self.path)
        if not _HEX.fullmatch(self.sha256) or self.size < 0:
            raise InvalidInput(f"{self.path}: sha256 must be 64 hex digits and size must not be negative")
        if not self.media_type:
            object.__setattr__(self, "media_type", media_type(self.path))


@dataclass(frozen=True)
class Manifest:
    """The content of an artifact and where it came from; no times, no run names, no attempts.

    `parents` are digests of artifacts it was made from, `producer` is program and version,
    `parameters` is JSON: what a second run needs to make the same.
    """

    kind: str
    files: tuple[File, ...]
    parents: tuple[str, ...] = ()
    producer: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(sorted(self.files)))
        object.__setattr__(self, "parents", tuple(sorted(set(self.parents))))
        problems = tuple(_problems(self))
        if problems:
            raise InvalidInput.of(problems)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the canonical JSON: the artifact's name."""
        return "sha256:" + hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def file(self, path: str) -> File:
        """The file at `path`; InvalidInput names what there is."""
        for file in self.files:
            if file.path == path:
                return file
        shown = ", ".join(file.path for file in self.files[:8])
        raise InvalidInput(f"{self.digest} has no file {path!r}; it has {shown}")

    def to_bytes(self) -> bytes:
        """The canonical JSON, as stored."""
        return canonical_json(
            {
                "format": FORMAT,
                "kind": self.kind,
                "files": [vars(file) for file in self.files],
                "parents": self.parents,
                "producer": self.producer,
                "parameters": self.parameters,
            }
        )

    @classmethod
    def from_bytes(cls, stored: bytes, *, digest: str) -> "Manifest":
        """The manifest named `digest`; DataCorrupt if these bytes are not it."""
        if "sha256:" + hashlib.sha256(stored).hexdigest() != digest:
            raise DataCorrupt(f"the manifest of {digest} was altered or cut; publish the artifact again")
        body = json.loads(stored)
        if body.pop("format") != FORMAT:
            raise InvalidInput(f"{digest} has a manifest of a newer format; use a newer posology")
        files = tuple(File(**file) for file in body.pop("files"))
        return cls(files=files, **body)


def media_type(path: str) -> str:
    """By our own table of endings, because the machine's may differ and change digests."""
    return MEDIA_TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")


def check_digest(digest: str) -> str:
    """The 64 hex digits of `sha256:<hex>`; InvalidInput for anything else."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"{digest!r} is no digest; it looks like sha256: and 64 hex digits")
    return digest.removeprefix("sha256:")


def check_path(path: str) -> None:
    """Relative, with forward slashes, inside the artifact; InvalidInput otherwise."""
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        raise InvalidInput(f"{path!r} is no path inside an artifact")
    if "\\" in path or any(ord(character) < 32 for character in path) or len(path.encode()) > 1024:
        raise InvalidInput(f"{path!r} has characters that paths in artifacts must not have")


def _problems(manifest: Manifest) -> Iterable[Violation]:
    if manifest.kind not in KINDS:
        yield Violation("kind", f"is {manifest.kind!r}; one of {', '.join(KINDS)}")
    if not manifest.files:
        yield Violation("files", "is empty; an artifact has at least one file")
    paths: set[str] = set()
    for file in manifest.files:
        if file.path.casefold() in paths:
            yield Violation("files", f"has {file.path} twice (letter case does not tell files apart)")
        paths.add(file.path.casefold())
    for parent in manifest.parents:
        if not _DIGEST.fullmatch(parent):
            yield Violation("parents", f"has {parent!r}, which is no digest")
