"""Checkpoints: how long each chain was and how it ended, signed by whoever took it and kept where the installation's
operators can't reach it. Standard library and `core` only, so that it is checked offline.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from posology.core import signing
from posology.core.audit.chain import GENESIS, Entry, Head, anchored, verify_chain
from posology.core.errors import DataCorrupt, InvalidInput

PREDICATE_TYPE = "https://posology.dev/attestation/audit-checkpoint/v1"


@dataclass(frozen=True)
class Checkpoint:
    """The ends of all chains at one time, by service."""

    taken: datetime
    heads: Mapping[str, Head]

    def sign(self, signer: signing.Signer) -> signing.Envelope:
        """The DSSE envelope that is kept."""
        ends = {service: {"length": head.seq, "digest": head.digest} for service, head in sorted(self.heads.items())}
        predicate = {"taken": self.taken.astimezone(UTC).isoformat(timespec="seconds"), "heads": ends}
        subjects = {f"audit chain of {service}": head.digest for service, head in self.heads.items()}
        return signer.sign(signing.statement(PREDICATE_TYPE, subjects, predicate))

    @classmethod
    def read(cls, envelope: Mapping[str, Any] | None, keys: Iterable[signing.PublicKey]) -> "Checkpoint":
        """What one of `keys` signed; SignatureInvalid, or InvalidInput for what is no checkpoint."""
        predicate = signing.verify(envelope, keys, predicate_type=PREDICATE_TYPE)["predicate"]
        try:
            heads = {service: Head(int(end["length"]), end["digest"]) for service, end in predicate["heads"].items()}
            return cls(datetime.fromisoformat(predicate["taken"]), heads)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"this is no checkpoint of audit chains: {error!r}") from error


@dataclass(frozen=True)
class ChainResult:
    """What was found of one service's chain; `problem` is empty if it is whole and goes on from every checkpoint."""

    service: str
    length: int
    problem: str = ""


def compare(chains: Mapping[str, Iterable[Entry]], checkpoints: Iterable[Checkpoint]) -> Iterator[ChainResult]:
    """Hold chains against earlier checkpoints: a cut tail, a rewritten entry, a chain that is gone, two checkpoints
    that can't be of one chain (a fork), and one that is shorter than an earlier one are each a problem.
    """
    taken = list(checkpoints)
    for service in sorted({*chains, *(service for one in taken for service in one.heads)}):
        anchors = [one.heads[service] for one in taken if service in one.heads]
        try:
            anchored(anchors, Head(0, GENESIS))
            _check_growth((one.taken, one.heads[service].seq) for one in taken if service in one.heads)
            if service not in chains:
                raise DataCorrupt("a checkpoint names this chain, and it is not here")
            head = verify_chain(chains[service], anchors=anchors)
            yield ChainResult(service, head.seq)
        except (DataCorrupt, InvalidInput) as error:
            yield ChainResult(service, 0, error.message)


def _check_growth(ends: Iterable[tuple[datetime, int]]) -> None:
    """`ends`: when a checkpoint was taken, and how long the chain was; those of one second have no order."""
    longest = 0
    for _, length in sorted(ends):
        if length < longest:
            raise DataCorrupt(
                f"a checkpoint ends at entry {length}, and an earlier one at entry {longest}: the chain was cut, if "
                "only for a time"
            )
        longest = length
