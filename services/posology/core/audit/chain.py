"""The chain itself, free of any database: an auditor checks an export with this file alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from posology.core.canonical import canonical_digest
from posology.core.errors import DataCorrupt, InvalidInput

GENESIS = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Head:
    """The end of a chain: number of its last entry (0 = empty) and that entry's digest."""

    seq: int
    digest: str


@dataclass(frozen=True)
class Entry:
    """Who (`actor`) did what (`action`) to which resource (`subject`), when (UTC), and the details."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    previous: str
    digest: str

    def body(self) -> dict[str, Any]:
        """What the digest covers: everything but itself."""
        return {
            "seq": self.seq,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "detail": dict(self.detail),
            "previous": self.previous,
        }

    def to_json(self) -> dict[str, Any]:
        """One line of an export; `from_json` reads it back."""
        return {**self.body(), "digest": self.digest}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Entry":
        """An entry of an export; InvalidInput names what is missing."""
        try:
            return cls(**{**line, "at": datetime.fromisoformat(line["at"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"this is no audit entry: {error}") from error


def link(head: Head, *, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> Entry:
    """The entry that follows `head`."""
    open_end = Entry(head.seq + 1, at, actor, action, subject, detail, head.digest, "")
    return Entry(**{**vars(open_end), "digest": canonical_digest(open_end.body())})


def verify_chain(entries: Iterable[Entry], *, after: Head | None = None, anchors: Iterable[Head] = ()) -> Head:
    """The head of an unbroken chain; DataCorrupt names the first broken entry, its actor and subject.

    `after` is the head before the first given entry (default: the very start). `anchors` are heads seen
    earlier, from verdicts say: each must still be there, so neither a cut tail nor a rewritten chain passes.
    """
    start = head = after or Head(0, GENESIS)
    missing = anchored(anchors, start)
    for entry in entries:
        _check(entry, head)
        head = Head(entry.seq, entry.digest)
        if missing.pop(head.seq, head.digest) != head.digest:
            raise _broken(entry, "is not the entry that was anchored; the chain was rewritten")
    if missing:
        cut = f"entry {max(missing)} was anchored; the tail was cut"
        raise DataCorrupt(f"the audit chain ends at entry {head.seq}, but {cut}")
    return head


def anchored(anchors: Iterable[Head], start: Head) -> dict[int, str]:
    """Digest by number of every anchor after the start; DataCorrupt where two contradict each other, or one the start.

    Of what lies before the start nothing can be said.
    """
    known = {0: GENESIS, start.seq: start.digest}
    for anchor in anchors:
        if known.setdefault(anchor.seq, anchor.digest) != anchor.digest:
            raise DataCorrupt(f"entry {anchor.seq} was anchored with two digests: the chain was forked or rewritten")
    return {seq: digest for seq, digest in known.items() if seq > start.seq}


def _check(entry: Entry, head: Head) -> None:
    if entry.seq != head.seq + 1:
        raise _broken(entry, f"follows entry {head.seq}; entries between them are missing or out of order")
    if entry.digest != canonical_digest(entry.body()):
        raise _broken(entry, "was altered after it was written")
    if entry.previous != head.digest:
        raise _broken(entry, "does not follow the entry before it; that one was altered or replaced")


def _broken(entry: Entry, how: str) -> DataCorrupt:
    return DataCorrupt(f"audit entry {entry.seq} ({entry.actor} {entry.action} {entry.subject}) {how}")
