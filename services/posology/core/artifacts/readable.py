"""What is asked of published artifacts by those who copy or collect them."""

from collections.abc import Iterator
from typing import Protocol

from posology.core.artifacts.backend import Stored
from posology.core.artifacts.manifest import File, Manifest


class Writes(Protocol):
    """Anything that takes bytes."""

    def write(self, data: bytes, /) -> int: ...


class Readable(Protocol):
    """Artifacts by digest; ArtifactStore says what each method promises."""

    def manifest(self, digest: str) -> Manifest: ...

    def read_into(self, digest: str, file: File, sink: Writes) -> None: ...

    def list(self) -> Iterator[tuple[str, Stored]]: ...
