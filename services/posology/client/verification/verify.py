"""All checks of a verdict, in the order in which one rests on the other."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.client import envelopes
from posology.client.stored import Stored
from posology.client.verification import content, evidence, requirements, statements
from posology.client.verification.audits import audits
from posology.client.verification.domain import Check, Verification, check
from posology.client.verification.trusted_keys import VERDICT, TrustedKeys
from posology.core.attestations.verdict import FILE as VERDICT_FILE
from posology.core.errors import InvalidInput, NotFound


@dataclass(frozen=True)
class Found:
    """A verdict's envelope, and where it came from: an artifact's digest, or a file's path."""

    envelope: Mapping[str, Any]
    origin: str


def find(target: str, stored: Stored) -> Found:
    """The verdict that `target` names: a file, the digest of its artifact or of weights, or a run (the newest one).

    NotFound says what there is. Reads files and the store only.
    """
    if Path(target).is_file():
        return Found(_envelope(Path(target).read_text(), target), target)
    if target.startswith("sha256:") and stored.has(target, VERDICT_FILE):
        return Found(stored.json(target, VERDICT_FILE), target)
    known = sorted(stored.of_kind("verdict"), reverse=True)
    for _, digest in known:
        envelope = stored.json(digest, VERDICT_FILE)
        if target in _names(envelopes.payload(envelope)):
            return Found(envelope, digest)
    raise NotFound(
        f"{target!r} is no file, no verdict's digest, and no run or weights that one of the {len(known)} verdicts "
        f"in {', '.join(store.url for store in stored.stores)} is about"
    )


def verify(
    found: Found, stored: Stored, keys: TrustedKeys, *, audit: Path | None = None, policy: Path | None = None
) -> Verification:
    """Check signatures, bytes, lineage, engine, gates and outcome; with `audit`, the chains in that folder too, and
    with `policy`, a signed release policy, each of its requirements.

    Blocking: it reads every byte behind the weights.
    """
    statement: dict[str, Any] = {}

    def signature() -> str:
        believed, signer = keys.verify(found.envelope, VERDICT)
        statement.update(believed)
        return f"signed by {signer} ({keys.keys[signer].id[:16]}), unaltered"

    first = check("signature", "verdict", signature)
    chains = tuple(audits(audit, statement)) if audit else ()
    if not statement:
        return Verification(found.origin, "", "", "", (first, *chains))
    predicate = statement["predicate"]
    model = envelopes.subjects(statement).get("model", "")
    required = requirements.checks(predicate, policy, keys) if policy else ()
    checks = (first, *_rest(model, predicate, found, stored, keys), *required, *chains)
    return Verification(found.origin, str(predicate.get("outcome", "")), model, str(predicate.get("run", "")), checks)


def _rest(
    model: str, predicate: Mapping[str, Any], verdict: Found, stored: Stored, keys: TrustedKeys
) -> Iterator[Check]:
    behind = stored.behind(model) if model else {}
    yield from statements.checks(predicate, behind, keys)
    yield from content.checks(model, predicate, verdict.origin, stored, behind)
    yield from evidence.checks(model, predicate, stored)


def _names(statement: Mapping[str, Any]) -> set[str]:
    """What a verdict may be asked for by."""
    run = str(statement["predicate"].get("run", ""))
    return {*envelopes.subjects(statement).values(), run, run.rpartition("/")[2]} - {""}


def _envelope(text: str, origin: str) -> Mapping[str, Any]:
    try:
        envelope = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{origin} is no JSON: {error}") from error
    if not isinstance(envelope, dict) or "payload" not in envelope:
        raise InvalidInput(f"{origin} is no DSSE envelope; a verdict's is called {VERDICT_FILE}")
    return envelope
