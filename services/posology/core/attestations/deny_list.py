"""What the catalog signs of everything that may not be used or served, in the whole installation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREDICATE_TYPE = "https://posology.dev/attestation/deny-list/v1"
FILE = "deny-list.dsse.json"
"""The envelope's name in an installation's data directory, and in the ConfigMap of a cluster."""
SUBJECT = "deny-list"
"""Name of the subject whose digest is that of the predicate."""

_DIGEST = re.compile(r"(?:sha-?256:)?([0-9a-f]{64})", re.IGNORECASE)


def normal_digest(text: str) -> str:
    """`sha256:<64 hex digits, lower case>` of a digest in either case, with or without its prefix; ValueError."""
    match = _DIGEST.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:100]!r} is no digest; write sha256: and 64 hex digits")
    return f"sha256:{match[1].lower()}"


@dataclass(frozen=True)
class DeniedDigest:
    """One digest that may not be used or served: an artifact's, a release policy's, or a weight file's."""

    digest: str
    kind: str
    reason: str
    cause: str = ""
    """The digest that was withdrawn, where this one only rests on it."""
    namespaces: tuple[str, ...] = ()
    """The only ones in which it counts, sorted; empty = all. Who reads a list and knows nothing of this takes it for
    all of them, which is the safe way to err."""

    def counts_in(self, namespace: str) -> bool:
        """Whether it keeps what serves in `namespace` from serving; an empty namespace is none in particular."""
        return not self.namespaces or namespace in self.namespaces

    def to_json(self) -> dict[str, Any]:
        """The JSON that is signed."""
        entry: dict[str, Any] = {"digest": self.digest, "kind": self.kind, "reason": self.reason}
        if self.cause:
            entry["cause"] = self.cause
        if self.namespaces:
            entry["namespaces"] = list(self.namespaces)
        return entry


@dataclass(frozen=True)
class DenyListPredicate:
    """The whole list. `number` grows with every change and never goes back; a list with a smaller one is an old list.

    No time is in it: no clock decides what counts.
    """

    installation: str
    """Made once, at random; a list of another installation says nothing here, whoever signed it."""
    number: int
    entries: tuple[DeniedDigest, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON that is signed."""
        return {
            "installation": self.installation,
            "number": self.number,
            "entries": [entry.to_json() for entry in self.entries],
        }

    @classmethod
    def from_json(cls, predicate: Mapping[str, Any]) -> "DenyListPredicate":
        """The inverse; KeyError, TypeError or ValueError for what is no list, or has one entry that is none.

        Nothing is skipped: an entry that is not understood could be the one that matters.
        """
        number, installation, entries = predicate["number"], predicate["installation"], predicate["entries"]
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"its number is {number!r}, not a whole one from 1 on")
        if not isinstance(installation, str) or not installation:
            raise ValueError("it names no installation")
        if not isinstance(entries, list):
            raise TypeError("its entries are no list")
        return cls(installation, number, tuple(_entry(entry) for entry in entries))


def _entry(entry: Mapping[str, Any]) -> DeniedDigest:
    cause, namespaces = entry.get("cause", ""), entry.get("namespaces", [])
    if not isinstance(namespaces, list) or not all(isinstance(one, str) and one for one in namespaces):
        raise TypeError(f"the namespaces of {entry['digest']} are no list of names")
    return DeniedDigest(
        normal_digest(entry["digest"]),
        str(entry.get("kind", "")),
        str(entry.get("reason", "")),
        normal_digest(cause) if cause else "",
        tuple(sorted(namespaces)),
    )
