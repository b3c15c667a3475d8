"""Public keys, and whose statements each may sign."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.core import revocation, signing
from posology.core.attestations import provenance, review, verdict
from posology.core.errors import InvalidInput
from posology.core.release import document
from posology.core.revocation import read_revoked
from posology.core.signing import PublicKey

VERDICT = verdict.PREDICATE_TYPE
REVIEW = review.PREDICATE_TYPE
PROVENANCE = provenance.PREDICATE_TYPE
POLICY = document.PREDICATE_TYPE
SIGNERS = {VERDICT: "evaluation", REVIEW: "curation", PROVENANCE: "training", POLICY: document.KEY}
"""Who may say what: a genuine signature by another service is none."""


@dataclass(frozen=True)
class TrustedKeys:
    """Public keys by the name of their file: `evaluation.pub`, `curation.pub`, `training.pub`, and those of a role that
    were rotated out, `evaluation-<id>.pub`."""

    keys: Mapping[str, PublicKey]
    folder: Path
    revoked: frozenset[str] = frozenset()
    """Ids of keys that no signature counts of."""

    @classmethod
    def load(cls, folder: Path) -> "TrustedKeys":
        """Every `.pub` file of a folder; InvalidInput if there is none. RevocationsUnreadable as `read_revoked`."""
        keys = {path.stem: PublicKey.load(path) for path in sorted(folder.glob("*.pub"))}
        if not keys:
            raise InvalidInput(f"{folder} has no public keys (*.pub); name a folder that has them with --keys")
        return cls(keys, folder, read_revoked(folder / revocation.FILE))

    def verify(self, envelope: Mapping[str, Any], predicate_type: str) -> tuple[dict[str, Any], str]:
        """The statement and the name of its signer, if the service whose place it is to say this signed it.

        Raises the SignatureInvalid that says why. In a folder whose files have other names any of its keys will do.
        """
        role = SIGNERS.get(predicate_type, "")
        of_role = {name: key for name, key in self.keys.items() if role and name.startswith(role)}
        trusted = {name: key for name, key in (of_role or self.keys).items() if key.id not in self.revoked}
        if revoked := {signature.get("keyid") for signature in envelope.get("signatures", ())} & self.revoked:
            raise signing.UnknownKey(f"the key {min(map(str, revoked))[:12]} that signed this was revoked")
        statement = signing.verify(envelope, trusted.values(), predicate_type=predicate_type)
        signers = {signature["keyid"] for signature in envelope["signatures"]}
        return statement, next(name for name, key in trusted.items() if key.id in signers)
