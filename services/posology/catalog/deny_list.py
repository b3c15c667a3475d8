"""The signed deny-list: made of withdrawals, of what rests on them and of failed weights, numbered and published."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import base64
import json
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from posology.catalog import index
from posology.catalog.tables import deny_lists
from posology.core import audit, revocation
from posology.core.attestations.deny_list import DeniedDigest, DenyListPredicate, normal_digest
from posology.core.canonical import canonical_digest, canonical_json
from posology.core.controllers import ControlLoop
from posology.core.errors import PosologyError
from posology.core.files import write_atomically
from posology.core.release.deny_list import FAILED_FILE, KEY, DenyList, DenyListUnreadable, sign, verified
from posology.core.revocation import read_revoked
from posology.core.signing import Envelope, PublicKey, Signer
from posology.core.store import Database, Transaction, now
from posology.v1alpha1 import evaluation_pb2

if TYPE_CHECKING:
    from posology.v1alpha1.evaluation_pb2_grpc import EvaluationAsyncStub

log = logging.getLogger("posology.catalog")
_REASON = 200
"""Characters of a reason: a cluster's ConfigMap holds a MiB, and agents need no more."""
_ASK_SECONDS = 5.0
ACTOR = "catalog"


@dataclass(frozen=True)
class SignedList:
    """The newest list, as it is stored."""

    predicate: DenyListPredicate
    envelope: Envelope

    @property
    def text(self) -> bytes:
        """What is published."""
        return canonical_json(self.envelope)


@dataclass
class Publisher:
    """Keeps the newest list signed and in its file. Any number of processes may do so at once: the database numbers."""

    db: Database
    signer: Signer
    path: Path
    evaluation: EvaluationAsyncStub | None = None
    every: float = 1.0
    keys_dir: Path | None = None
    """Where public keys lie that this signer had before."""
    _failed: dict[str, DeniedDigest] | None = field(default=None)
    """What evaluation said last; None until it said anything, and then the last list counts."""
    _asked: float = field(default=-_ASK_SECONDS)

    async def run(self) -> None:
        """Look for what changed, until cancelled."""
        loop = ControlLoop("deny-list", self.reconcile_once, interval=self.every, survives=PosologyError)
        await loop.run()

    async def reconcile_once(self) -> None:
        """One round: ask evaluation now and then, and see that the newest list lies where agents look."""
        now = asyncio.get_running_loop().time()
        if now - self._asked >= _ASK_SECONDS:
            self._asked = now
            await self._ask_evaluation()
        await self.publish()

    async def publish(self) -> SignedList:
        """The newest list, signed if anything changed, and written where agents of this machine look."""
        newest = await self.newest(await asyncio.to_thread(_read, self.path))
        await asyncio.to_thread(self._write, newest)
        return newest

    async def newest(self, published: bytes | str = b"") -> SignedList:
        """The newest list, signed if anything changed. `published` is what agents may have seen: one of ours with a
        larger number is taken over, because the database was restored from before it."""
        above = self._ours(published)
        async with self.db.read() as tx:
            last = await _last(tx)
            if (
                last is not None
                and not _is_ahead(above, last)
                and self._signed(last)
                and await self._entries(tx, last) == last.predicate.entries
            ):
                return last
        async with self.db.begin() as tx:
            last = await _last(tx)
            if above is not None and _is_ahead(above, last):
                await _take_over(tx, above)
            number = max(last.predicate.number if last else 0, above.number if above else 0) + 1
            installation = last.predicate.installation if last else above.installation if above else uuid.uuid4().hex
            predicate = DenyListPredicate(installation, number, await self._entries(tx, last))
            unchanged = last is not None and predicate.entries == last.predicate.entries and self._signed(last)
            if last is not None and unchanged and not _is_ahead(above, last):
                return last
            return await self._store(tx, predicate)

    async def _store(self, tx: Transaction, predicate: DenyListPredicate) -> SignedList:
        signed = SignedList(predicate, sign(predicate, self.signer))
        row = {"number": predicate.number, "envelope": signed.envelope, "created": await now(tx)}
        await tx.execute(insert(deny_lists).values(**row))
        detail = {"entries": len(predicate.entries), "digest": canonical_digest(predicate.to_json())}
        subject = f"denyLists/{predicate.number}"
        await audit.append(tx, actor=ACTOR, action="denylist.sign", subject=subject, detail=detail)
        return signed

    async def _entries(self, tx: Transaction, last: SignedList | None) -> tuple[DeniedDigest, ...]:
        """Everything denied, in the order of the digests; what was withdrawn itself comes before what rests on it."""
        entries: dict[str, DeniedDigest] = {}
        withdrawn = [
            DeniedDigest(w.digest, w.kind, w.reason, namespaces=(w.namespace,) if w.namespace else ())
            for w in await index.all_withdrawals(tx)
        ]
        _merge(entries, withdrawn)
        for namespace in sorted({one for entry in withdrawn for one in entry.namespaces} | {""}):
            counts = (namespace,) if namespace else ()
            of = {entry.digest: entry for entry in withdrawn if entry.namespaces == counts}
            resting = await index.resting_on(tx, of, namespace=namespace)
            _merge(
                entries,
                (DeniedDigest(digest, kind, of[cause].reason, cause, counts) for digest, kind, cause in resting),
            )
        failed = self._failed
        if failed is None:
            before = last.predicate.entries if last else ()
            failed = {entry.digest: entry for entry in before if entry.kind == FAILED_FILE}
        _merge(entries, failed.values())
        return tuple(replace(entries[digest], reason=entries[digest].reason[:_REASON]) for digest in sorted(entries))

    async def _ask_evaluation(self) -> None:
        """Which weights failed; while evaluation does not answer, what it said before stands."""
        if self.evaluation is None:
            return
        try:
            response = await self.evaluation.ListFailedWeights(
                evaluation_pb2.ListFailedWeightsRequest(), timeout=_ASK_SECONDS
            )
        except PosologyError as error:
            log.debug("evaluation does not say which weights failed: %s", error.message)
            return
        self._failed = _merge({}, (entry for failure in response.failures for entry in _failed_files(failure)))

    def _ours(self, published: bytes | str) -> DenyList | None:
        """The list, if this key signed it; anything else is as if it were not there, and will be replaced."""
        if not published:
            return None
        try:
            return verified(json.loads(published), self._own_keys(), origin="that is published")
        except (ValueError, RecursionError) as error:
            log.warning("what is published as deny-list is no JSON: %s", error)
        except DenyListUnreadable as error:
            log.warning("%s", error.message)
        return None

    def _signed(self, newest: SignedList) -> bool:
        """Whether the present key signed it; after a rotation the list is signed anew, so that the old one may go."""
        return any(signature.get("keyid") == self.signer.id for signature in newest.envelope["signatures"])

    def _own_keys(self) -> list[PublicKey]:
        """This key and those that it replaced, unless they were revoked."""
        former: list[PublicKey] = []
        if self.keys_dir is not None:
            try:
                revoked = read_revoked(self.keys_dir / revocation.FILE)
                keys = (PublicKey.load(path) for path in sorted(self.keys_dir.glob(f"{KEY}-*.pub")))
                former = [key for key in keys if key.id not in revoked]
            except PosologyError as error:
                log.warning("keys that this one replaced are not known: %s", error.message)
        return [self.signer.public_key, *former]

    def _write(self, newest: SignedList) -> None:
        if _read(self.path) != newest.text:
            write_atomically(self.path, newest.text, durable=True)


def _is_ahead(above: DenyList | None, last: SignedList | None) -> bool:
    """Whether agents may have seen a list that this database knows nothing of."""
    if above is None or last is None:
        return above is not None
    if above.installation != last.predicate.installation:
        log.error("the deny-list that is published is of the installation %s, not of this one", above.installation)
        return False
    same = above.number == last.predicate.number and above.sha256 != canonical_digest(last.predicate.to_json())
    return above.number > last.predicate.number or same


async def _take_over(tx: Transaction, above: DenyList) -> None:
    """Withdrawals that the database forgot come back."""
    for entry in above.entries.values():
        if not entry.cause and entry.kind != FAILED_FILE:
            for namespace in entry.namespaces or ("",):
                await index.withdraw(tx, entry.digest, kind=entry.kind, reason=entry.reason, namespace=namespace)


async def _last(tx: Transaction) -> SignedList | None:
    query = select(deny_lists.c.envelope).order_by(deny_lists.c.number.desc()).limit(1)
    envelope = (await tx.execute(query)).scalar()
    return None if envelope is None else SignedList(_predicate(envelope), envelope)


def _predicate(envelope: dict[str, Any]) -> DenyListPredicate:
    """What this service signed and stored itself."""
    return DenyListPredicate.from_json(json.loads(base64.b64decode(envelope["payload"]))["predicate"])


def _merge(entries: dict[str, DeniedDigest], more: Iterable[DeniedDigest]) -> dict[str, DeniedDigest]:
    """One entry for each digest: the first, unless a later one counts in more namespaces."""
    for entry in more:
        first = entries.setdefault(entry.digest, entry)
        if first.namespaces and not entry.namespaces:
            entries[entry.digest] = entry
        elif first.namespaces:
            together = tuple(sorted({*first.namespaces, *entry.namespaces}))
            entries[entry.digest] = replace(first, namespaces=together)
    return entries


def _failed_files(failure: evaluation_pb2.FailedWeights) -> Iterable[DeniedDigest]:
    reason = f"{failure.verdict} said FAIL of {failure.model[:19]}"
    for file in failure.weight_files:
        counts = (failure.namespace,) if failure.namespace else ()
        yield DeniedDigest(normal_digest(file), FAILED_FILE, reason, namespaces=counts)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
