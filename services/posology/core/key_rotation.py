"""Signing keys of a folder: which there are, replacing one, revoking one.

A rotation leaves the old public key beside the new one, so that what was signed goes on verifying; the old private key
is gone. Whoever verifies sees nothing in between: the new public key lies there before anything is signed with it, and
no public key is taken away, which somebody could be about to read.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from posology.core import revocation
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, Violation
from posology.core.files import write_atomically, write_once
from posology.core.revocation import read_revoked
from posology.core.signing import PublicKey, Signer, Window, private_pem
from posology.core.times import utc_now

ROLES = {
    "evaluation": "verdicts",
    "curation": "reviews",
    "training": "provenance of weights",
    "orchestrator": "the deny-list",
    "release-policy": "the release policy",
    "auditor": "checkpoints of the audit chains",
}
"""Names of the keys, and what each signs."""
REVOKED = revocation.FILE
_SHORT = 16


@dataclass(frozen=True)
class KnownKey:
    """A public key of the folder; `file` is its name without the ending."""

    file: str
    key: PublicKey
    revoked: bool
    signs: bool
    """Whether its private key lies here too."""

    def state(self, moment: datetime) -> str:
        """What it is good for at this moment, in words."""
        if self.revoked:
            return "revoked: nothing that it signed counts"
        if not self.signs:
            return "verifies"
        return "signs" if self.key.window.holds(moment) else "expired: signs nothing, verifies what it signed in time"


@dataclass(frozen=True)
class Rotation:
    """What a rotation changed."""

    role: str
    old: str
    """Id of the key that verifies on; empty where there was none."""
    new: PublicKey


def known_keys(folder: Path) -> list[KnownKey]:
    """Every public key of a folder, once: one that signs lies there under its id, too."""
    revoked = read_revoked(folder / REVOKED)
    listed: dict[str, KnownKey] = {}
    for path in sorted(folder.glob("*.pub")):
        key = PublicKey.load(path)
        known = KnownKey(path.stem, key, key.id in revoked, path.with_suffix(".key").exists())
        if known.signs or key.id not in listed:
            listed[key.id] = known
    return sorted(listed.values(), key=lambda one: one.file)


def rotate(folder: Path, role: str, *, days: int) -> Rotation:
    """Replace the key of a role by a new one that signs for `days` from now, 0 = without an end."""
    if role not in ROLES:
        raise InvalidInput.of([Violation("role", f"{role!r} signs nothing; there are {', '.join(ROLES)}")])
    if days < 0:
        raise InvalidInput.of([Violation("--days", f"must be 0 (without an end) or more, not {days}")])
    private, public = folder / f"{role}.key", folder / f"{role}.pub"
    with _alone(folder):
        if not private.exists() and public.exists():
            raise FailedPrecondition(
                f"{public} verifies, but its private key is not here; rotate where the services keep their keys"
            )
        moment = utc_now().replace(microsecond=0)
        window = Window(moment, moment + timedelta(days=days)) if days else Window()
        old = ""
        if private.exists():
            before = Signer.load_or_create(private).public_key
            old = before.id
            write_once(folder / f"{role}-{before.id[:_SHORT]}.pub", before.pem)
        key = Ed25519PrivateKey.generate()
        new = Signer(key, window).public_key
        write_once(folder / f"{role}-{new.id[:_SHORT]}.pub", new.pem)
        write_atomically(private, private_pem(key, window), mode=0o600, durable=True)
        write_atomically(public, new.pem, durable=True)
    return Rotation(role, old, new)


def find(folder: Path, key_id: str) -> KnownKey:
    """The key of this id, of which the first 8 digits or more are enough; NotFound unless it is one."""
    wanted = key_id.strip().lower().removeprefix("sha256:")
    keys = [one for one in known_keys(folder) if len(wanted) >= 8 and one.key.id.startswith(wanted)]
    if len(keys) != 1:
        raise NotFound(f"{key_id!r} is the id of {len(keys)} keys in {folder}; `signing-keys list` shows them")
    return keys[0]


def revoke(folder: Path, key_id: str, *, reason: str) -> KnownKey:
    """Let nothing count that a key signed; `key_id` may be its first 8 digits or more.

    FailedPrecondition for a key that signs still: services would go on making what nobody believes.
    """
    with _alone(folder):
        known = find(folder, key_id)
        if known.signs:
            raise FailedPrecondition(
                f"{known.file} still signs with this key; rotate it first, then revoke what it was"
            )
        path = folder / REVOKED
        before = revocation.text_of(path.read_bytes(), str(path)).encode() if path.exists() else b""
        if not known.revoked:
            note = " ".join(reason.split()).replace("#", "")
            line = f"{known.key.id}  # {known.file}: {note}\n".encode()
            start = before if not before or before.endswith(b"\n") else before + b"\n"
            write_atomically(path, start + line, durable=True)
    return known


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One rotation at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / ".rotation.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FailedPrecondition(f"keys in {folder} can't be changed: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
