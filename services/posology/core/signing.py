"""Signed statements: in-toto Statement v1 in a DSSE envelope, by an Ed25519 key that each service has of its own.

A signature says who observed what and that nobody changed it since. Where all services run as one user
it gives integrity, not separation of duties.
"""

import copy
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from google.protobuf.json_format import MessageToDict
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement
from securesystemslib import dsse
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from posology.core.canonical import canonical_json
from posology.core.errors import FailedPrecondition, InvalidInput
from posology.core.files import write_once
from posology.core.times import from_rfc3339, readable, rfc3339, utc_now

log = logging.getLogger("posology.signing")
PAYLOAD_TYPE = "application/vnd.in-toto+json"
SIGNED_AT = "signedAt"
"""Beside a statement's own fields, which in-toto readers skip: when it was signed, by the signer's clock."""
Envelope = dict[str, Any]


class SignatureInvalid(FailedPrecondition):
    """Nothing in this envelope may be believed."""


class NotSigned(SignatureInvalid):
    """There is no envelope, or one without a signature; have it signed first."""


class UnknownKey(SignatureInvalid):
    """Signed, but by nobody we trust; add the signer's public key if it is one of ours."""


class SignatureMismatch(SignatureInvalid):
    """The content is not what was signed: it was altered."""


class WrongPredicate(SignatureInvalid):
    """A genuine statement about something else than what is asked for."""


class OutsideWindow(SignatureInvalid):
    """Signed when its key was not valid yet, or no more; have it signed with a key that is."""


class KeyExpired(FailedPrecondition):
    """This key signs nothing now: it is not valid yet, or no more. Rotate it."""


@dataclass(frozen=True)
class Window:
    """When a key may sign; None is unbounded. Expiry bounds signing alone: what was signed in time verifies on, so that
    no restart at night is an outage. Revocation bounds loading.

    It stands before the key in its file, as `not-before: <RFC 3339>` and `not-after: <RFC 3339>`; PEM readers skip it.
    """

    not_before: datetime | None = None
    not_after: datetime | None = None

    @classmethod
    def of(cls, pem: bytes) -> "Window":
        """What stands before the key; InvalidInput for a line that is not understood, which could be a bound."""
        bounds: dict[str, datetime] = {}
        for line in pem.partition(b"-----BEGIN")[0].decode(errors="replace").splitlines():
            name, _, value = (part.strip() for part in line.partition(":"))
            if not line.strip() or line.startswith("#"):
                continue
            if name not in ("not-before", "not-after") or name in bounds:
                raise InvalidInput(f"{line!r} before the key is not understood; write not-before: or not-after: once")
            try:
                bounds[name] = from_rfc3339(value)
            except ValueError as error:
                raise InvalidInput(f"{name}: {value!r} is no moment like 2026-11-28T12:00:00Z") from error
        return cls(bounds.get("not-before"), bounds.get("not-after"))

    @property
    def bounded(self) -> bool:
        """Whether a statement must say when it was signed."""
        return self != Window()

    @property
    def header(self) -> str:
        """The lines before a key."""
        bounds = (("not-before", self.not_before), ("not-after", self.not_after))
        return "".join(f"{name}: {rfc3339(moment)}\n" for name, moment in bounds if moment is not None)

    def holds(self, moment: datetime) -> bool:
        """Whether a key may sign at this moment."""
        early = self.not_before is not None and moment < self.not_before
        return not early and (self.not_after is None or moment < self.not_after)

    def __str__(self) -> str:
        start = f"from {readable(self.not_before)} " if self.not_before else ""
        return f"{start}until {readable(self.not_after)}" if self.not_after else start.strip() or "without an end"


@dataclass(frozen=True)
class PublicKey:
    """Whom to trust. `id` is the sha256 of the DER public key: `openssl pkey -pubin -outform DER | sha256sum`."""

    id: str
    pem: str
    """With its window before it."""
    window: Window = Window()

    @classmethod
    def from_pem(cls, pem: str | bytes) -> "PublicKey":
        """An Ed25519 public key in PEM; InvalidInput for anything else."""
        content = pem.encode() if isinstance(pem, str) else pem
        try:
            key = load_pem_public_key(content)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidInput(f"this is no public key in PEM: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidInput("only Ed25519 keys sign here")
        return cls._of(key, Window.of(content))

    @classmethod
    def load(cls, path: Path) -> "PublicKey":
        """The key in a `.pub` file; InvalidInput names the file."""
        try:
            return cls.from_pem(path.read_bytes())
        except OSError as error:
            raise InvalidInput(f"the public key {path} can't be read: {error.strerror}") from error
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error.message}") from error

    @classmethod
    def _of(cls, key: Ed25519PublicKey, window: Window) -> "PublicKey":
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha256(der).hexdigest(), window.header + pem.decode(), window)


class Signer:
    """A service's private key; it never leaves the process. One that was replaced in its file is taken up at the next
    signature, so a rotation needs no restart."""

    def __init__(self, key: Ed25519PrivateKey, window: Window = Window(), *, path: Path | None = None) -> None:
        self._path = path
        self._take(key, window)

    def _take(self, key: Ed25519PrivateKey, window: Window) -> None:
        self._public_key = PublicKey._of(key.public_key(), window)
        self._key = key
        self._signer = CryptoSigner(key, _dsse_key(self._public_key))
        self._stamp = _stamp(self._path)

    @classmethod
    def load_or_create(cls, path: Path) -> "Signer":
        """The key at `path`, made on first use (mode 0600) with its `.pub` beside it.

        Processes that start together get the same key. A key that everybody may read is refused.
        """
        public = path.with_suffix(".pub")
        try:
            if not path.exists():
                create(path)
            signer = cls(*_load(path), path=path)
            if not public.exists():
                write_once(public, signer.public_key.pem)
        except OSError as error:
            raise FailedPrecondition(f"the key {path} can't be made or read: {error}") from error
        if PublicKey.load(public) != signer.public_key:
            raise FailedPrecondition(f"{public} does not belong to {path}; remove it, it will be made again")
        return signer

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this one signs now."""
        self._refresh()
        return self._public_key

    @property
    def id(self) -> str:
        """Key id, as in the envelopes."""
        return self.public_key.id

    def sign(self, statement: Mapping[str, Any]) -> Envelope:
        """A DSSE envelope (JSON) around the statement's canonical JSON; KeyExpired outside the key's window.

        Where the key has a window, the statement says when it was signed (`signedAt`).
        """
        window, moment = self.public_key.window, utc_now()
        if not window.holds(moment):
            raise KeyExpired(
                f"the key {self._path or self._public_key.id[:12]} signs {window} only, and it is {readable(moment)}; "
                "rotate it: posology signing-keys rotate"
            )
        dated = {**statement, SIGNED_AT: rfc3339(moment, microseconds=True)} if window.bounded else statement
        envelope = dsse.Envelope(canonical_json(dated), PAYLOAD_TYPE, {})
        envelope.sign(self._signer)
        made: Envelope = envelope.to_dict()
        return made

    def derived(self, content: bytes) -> bytes:
        """32 bytes that follow from the content and this key, and that nobody can tell without it."""
        self._refresh()
        return hashlib.sha256(b"posology:derived:" + self._key.sign(b"posology:derived:" + content)).digest()

    def _refresh(self) -> None:
        """Take up what lies in the key's file now; a file that is gone or half rotated changes nothing."""
        if self._path is None or _stamp(self._path) in (self._stamp, None):
            return
        try:
            self._take(*_load(self._path))
        except (OSError, FailedPrecondition):
            log.warning("the key in %s can't be read; the one from before signs on", self._path)


def statement(predicate_type: str, subjects: Mapping[str, str], predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto Statement v1: `predicate` is said of `subjects` (name -> sha256 hex, or sha256:<hex>).

    `predicate_type` is a URI that names the meaning and version of the predicate.
    """
    described = [
        ResourceDescriptor(name=name, digest={"sha256": digest.removeprefix("sha256:")}).pb
        for name, digest in sorted(subjects.items())
    ]
    made = Statement(described, predicate_type, {"exact": "below"})
    try:
        made.validate()
    except ValueError as error:
        raise InvalidInput(f"this is no in-toto statement: {error}") from error
    # The predicate itself does not pass through protobuf: its Struct would turn every integer into a float.
    return {**MessageToDict(made.pb), "predicate": json.loads(canonical_json(predicate))}


def verify(
    envelope: Mapping[str, Any] | None, public_keys: Iterable[PublicKey], *, predicate_type: str | None = None
) -> dict[str, Any]:
    """The statement in `envelope`, if one of `public_keys` signed it; otherwise the SignatureInvalid that says why.

    Believe only what this returns, never the envelope's payload itself.
    """
    trusted = {key.id: key for key in public_keys}
    opened = _open(envelope)
    if not opened.signatures:
        raise NotSigned("the envelope carries no signature; have the statement signed first")
    signers = [trusted[key_id] for key_id in opened.signatures if key_id in trusted]
    if not signers:
        raise UnknownKey(_whose(opened.signatures, trusted))
    genuine = [key for key in signers if _signed_by(opened, key)]
    if not genuine:
        names = ", ".join(key.id[:12] for key in signers)
        raise SignatureMismatch(f"the signature of {names} does not match the content: it was altered after signing")
    statement = _statement(opened, predicate_type)
    _check_window(statement, genuine)
    return statement


def _signed_by(opened: dsse.Envelope, key: PublicKey) -> bool:
    try:
        opened.verify([_dsse_key(key)], 1)
    except VerificationError:
        return False
    return True


def _check_window(statement: Mapping[str, Any], signers: Iterable[PublicKey]) -> None:
    """OutsideWindow unless one of the signers might sign when the statement says that it was signed."""
    said = statement.get(SIGNED_AT)
    problem = ""
    for key in signers:
        if not key.window.bounded:
            return
        try:
            moment = from_rfc3339(str(said))
        except ValueError:
            problem = (
                f"its key {key.id[:12]} signs {key.window} only, and the statement does not say when it was signed"
            )
            continue
        if key.window.holds(moment):
            return
        problem = f"signed at {readable(moment)} by the key {key.id[:12]}, which signs {key.window} only"
    raise OutsideWindow(f"{problem}; have it signed again with a key that is valid")


def _open(envelope: Mapping[str, Any] | None) -> dsse.Envelope:
    if not envelope:
        raise NotSigned("there is no signed envelope")
    try:
        # A copy, because securesystemslib rewrites the signatures in the dictionary that it is given.
        return dsse.Envelope.from_dict(copy.deepcopy(dict(envelope)))
    except (KeyError, TypeError, ValueError, AttributeError, FormatError) as error:
        raise SignatureInvalid(f"this is no DSSE envelope: {error!r}") from error


def _statement(opened: dsse.Envelope, predicate_type: str | None) -> dict[str, Any]:
    if opened.payload_type != PAYLOAD_TYPE:
        raise WrongPredicate(f"the envelope holds {opened.payload_type}, not {PAYLOAD_TYPE}")
    found: dict[str, Any] = json.loads(opened.payload)
    if found.get("_type") != STATEMENT_TYPE_URI:
        raise WrongPredicate(f"the envelope holds a {found.get('_type')}, not a {STATEMENT_TYPE_URI}")
    if predicate_type is not None and found["predicateType"] != predicate_type:
        raise WrongPredicate(f"the statement is a {found['predicateType']}, wanted is a {predicate_type}")
    return found


def _whose(signatures: Iterable[str], trusted: Iterable[str]) -> str:
    signers = ", ".join(key_id[:12] for key_id in signatures)
    known = ", ".join(key_id[:12] for key_id in trusted) or "none"
    return f"signed by the key {signers}, which is not trusted here (trusted: {known})"


def _dsse_key(key: PublicKey) -> SSlibKey:
    public = load_pem_public_key(key.pem.encode())
    assert isinstance(public, Ed25519PublicKey)  # PublicKey holds nothing else
    return SSlibKey.from_crypto(public, key.id)


def create(path: Path, window: Window = Window()) -> None:
    """A new key at `path` (mode 0600), unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_once(path, private_pem(Ed25519PrivateKey.generate(), window), mode=0o600)


def private_pem(key: Ed25519PrivateKey, window: Window) -> bytes:
    """What a key's file holds."""
    return window.header.encode() + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What changes when a file is replaced; None where it can't be seen."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns) if status is not None else None


def _load(path: Path) -> tuple[Ed25519PrivateKey, Window]:
    try:
        if path.stat().st_mode & 0o007:
            raise FailedPrecondition(f"everybody on this machine may read the key {path}; chmod 600 it")
        content = path.read_bytes()
        key, window = load_pem_private_key(content, None), Window.of(content)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FailedPrecondition(f"{path} holds no private key in PEM: {error}") from error
    except InvalidInput as error:
        raise FailedPrecondition(f"{path}: {error.message}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FailedPrecondition(f"{path} is not an Ed25519 key")
    return key, window
