"""Artifacts as the catalog knows them. Standard library only; read this first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """One immutable artifact of a namespace."""

    namespace: str
    digest: str
    """`sha256:<hex>` of its manifest."""
    kind: str
    size_bytes: int
    parents: tuple[str, ...]
    producer: str
    parameters: Mapping[str, Any]
    created: datetime | None = None
    quarantine_reason: str = ""
    pins: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The resource name."""
        return f"namespaces/{self.namespace}/artifacts/{self.digest.removeprefix('sha256:')}"


@dataclass(frozen=True)
class Withdrawal:
    """A digest that may not be used or served."""

    number: int
    """Its place among those of the whole installation; 0 for others."""
    digest: str
    kind: str
    reason: str
    created: datetime
    namespace: str = ""
    """The only one in which it counts; empty = all."""
