"""The signed deny-list: what may not serve, read strictly and closed on doubt.

Whoever loads weights trusts the signature alone, not the file's place or who brought it, and remembers the largest
number that it has seen: an older list that is put back is told from the present one.
"""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from posology.core import signing
from posology.core.attestations.deny_list import (
    PREDICATE_TYPE,
    SUBJECT,
    DeniedDigest,
    DenyListPredicate,
    normal_digest,
)
from posology.core.attestations.verdict import VerdictPredicate
from posology.core.canonical import canonical_digest
from posology.core.errors import InvalidInput, Unavailable
from posology.core.files import write_atomically

KEY = "orchestrator"
"""Name of the key that signs it: the catalog lives in the orchestrator's process."""
FAILED_FILE, WITHDRAWN_FILE = "failed-weight-file", "weight-file"
"""Kinds of entries that follow the bytes of weights, whatever artifact holds them."""
_LARGEST = 16_000_000  # bytes


class DenyListUnreadable(Unavailable):
    """Nobody can tell what was withdrawn, so nothing loads until the list that the message names is in order."""


@dataclass(frozen=True)
class DenyList:
    """A list whose signature was verified."""

    installation: str
    number: int
    sha256: str
    """Of the predicate, `sha256:<hex>`: two lists of one number are one list."""
    entries: Mapping[str, DeniedDigest] = field(default_factory=dict)
    """By digest."""

    def denied(self, digests: Iterable[str], *, namespace: str = "") -> DeniedDigest | None:
        """The entry of the first of these digests that has one which counts in `namespace`, whatever their case."""
        listed = (self.entries[digest] for digest in _digests(digests) if digest in self.entries)
        return next((entry for entry in listed if entry.counts_in(namespace)), None)

    def denies(self, predicate: VerdictPredicate, *others: str) -> DeniedDigest | None:
        """The entry that keeps weights with this verdict from serving; `others` are digests that it does not name:
        the weights', its own, the release policy's."""
        namespace = predicate.namespace
        entry = self.denied([*others, *rests_on(predicate)], namespace=namespace)
        if entry is not None:
            return entry
        # A base may fail where what was tuned from it passes; a withdrawn one takes along what was tuned from it.
        of_base = (self.denied([file], namespace=namespace) for file in predicate.base.weight_files)
        return next((entry for entry in of_base if entry is not None and entry.kind != FAILED_FILE), None)


def sign(predicate: DenyListPredicate, signer: signing.Signer) -> signing.Envelope:
    """The signed list."""
    subjects = {SUBJECT: canonical_digest(predicate.to_json())}
    return signer.sign(signing.statement(PREDICATE_TYPE, subjects, predicate.to_json()))


def verified(envelope: object, keys: Sequence[signing.PublicKey], *, origin: str) -> DenyList:
    """The list in an envelope that one of `keys` signed; DenyListUnreadable says what is wrong with `origin`."""
    try:
        if not isinstance(envelope, dict):
            raise TypeError("it is no DSSE envelope")
        content = signing.verify(envelope, keys, predicate_type=PREDICATE_TYPE)["predicate"]
        predicate = DenyListPredicate.from_json(content)
    except signing.SignatureInvalid as error:
        raise DenyListUnreadable(f"the deny-list {origin} can't be believed: {error.message}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DenyListUnreadable(f"the deny-list {origin} is not understood: {error!r}") from error
    return DenyList(
        predicate.installation,
        predicate.number,
        canonical_digest(content),
        {entry.digest: entry for entry in predicate.entries},
    )


def load(path: Path, keys: Sequence[Path], *, revoked: frozenset[str] = frozenset()) -> DenyList:
    """The list signed in `path`, read anew; DenyListUnreadable for everything else."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise DenyListUnreadable(f"the deny-list {path} has more than {_LARGEST:,} bytes")
        envelope = json.loads(content)
        trusted = [signing.PublicKey.load(key) for key in keys]
    except FileNotFoundError:
        raise DenyListUnreadable(f"there is no deny-list {path}, so nobody can tell what was withdrawn") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DenyListUnreadable(f"the deny-list {path} can't be read: {error}") from error
    except InvalidInput as error:
        raise DenyListUnreadable(f"the keys of the deny-list can't be read: {error.message}") from error
    return verified(envelope, [key for key in trusted if key.id not in revoked], origin=str(path))


@dataclass(frozen=True)
class HighWaterMark:
    """The largest number that anybody on this machine has seen, in a file that outlives who saw it."""

    path: Path

    def check(self, deny_list: DenyList) -> None:
        """Remember this list; DenyListUnreadable if it is older than one that was seen, or of another installation."""
        with self._locked():
            last = self._last()
            if last is not None:
                self._compare(deny_list, *last)
            if last is None or deny_list.number > last[1]:
                mark = {
                    "installation": deny_list.installation,
                    "number": deny_list.number,
                    "sha256": deny_list.sha256,
                }
                write_atomically(self.path, json.dumps(mark), mode=0o600, durable=True)

    def _compare(self, deny_list: DenyList, installation: str, number: int, sha256: str) -> None:
        if deny_list.installation != installation:
            raise DenyListUnreadable(
                f"this deny-list is of the installation {deny_list.installation}, and {installation} is this one"
            )
        if deny_list.number < number:
            raise DenyListUnreadable(
                f"this deny-list has the number {deny_list.number}, and {number} was seen before: it is an old one"
            )
        if deny_list.number == number and deny_list.sha256 != sha256:
            raise DenyListUnreadable(f"two deny-lists have the number {number}; one of them is not the catalog's")

    def _last(self) -> tuple[str, int, str] | None:
        try:
            mark = json.loads(self.path.read_text(encoding="utf-8"))
            return str(mark["installation"]), int(mark["number"]), str(mark["sha256"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DenyListUnreadable(
                f"{self.path}, which says how new the deny-list must be, can't be read: {error!r}"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time, or a slower one would write a smaller number over a larger one."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise DenyListUnreadable(f"{self.path} can't be kept: {error}") from error


def in_words(entry: DeniedDigest) -> str:
    """What was withdrawn, and why, for whoever is refused."""
    if entry.kind == FAILED_FILE:
        return f"its weight file {entry.digest} failed an evaluation ({entry.reason})"
    behind = f" rests on {entry.cause}, which" if entry.cause else ""
    return f"the {entry.kind or 'artifact'} {entry.digest}{behind} was withdrawn ({entry.reason})"


def rests_on(predicate: VerdictPredicate) -> frozenset[str]:
    """Every digest that a verdict says its weights rest on, their weight files included."""
    named = [
        predicate.base_model,
        predicate.base.artifact,
        predicate.adapter,
        predicate.dataset,
        predicate.suites_artifact,
        predicate.evaluation.get("artifact", ""),
        *predicate.suites.values(),
        *(digest for digests in predicate.lineage.values() for digest in digests),
        *(digest for one in predicate.derived for digest in (one.model, one.verdict)),
        *predicate.weight_files,
    ]
    return frozenset(_digests(named))


def _digests(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            yield normal_digest(text)
        except ValueError:
            continue  # not every field of a verdict is filled, and what is no digest can't be listed
