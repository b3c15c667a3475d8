"""Signed statements: in-toto Statement v1 in a DSSE envelope, by an Ed25519 key that each service has of its own.

A signature says who observed what and that nobody changed it since. Where all services run as one user
it gives integrity, not separation of duties.
"""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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

PAYLOAD_TYPE = "application/vnd.in-toto+json"
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


@dataclass(frozen=True)
class PublicKey:
    """Whom to trust. `id` is the sha256 of the DER public key: `openssl pkey -pubin -outform DER | sha256sum`."""

    id: str
    pem: str

    @classmethod
    def from_pem(cls, pem: str | bytes) -> "PublicKey":
        """An Ed25519 public key in PEM; InvalidInput for anything else."""
        try:
            key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidInput(f"this is no public key in PEM: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidInput("only Ed25519 keys sign here")
        return cls._of(key)

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
    def _of(cls, key: Ed25519PublicKey) -> "PublicKey":
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha256(der).hexdigest(), pem.decode())


class Signer:
    """A service's private key; it never leaves the process."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.public_key = PublicKey._of(key.public_key())
        self._signer = CryptoSigner(key, _dsse_key(self.public_key))

    @classmethod
    def load_or_create(cls, path: Path) -> "Signer":
        """The key at `path`, made on first use (mode 0600) with its `.pub` beside it.

        Processes that start together get the same key. A key that everybody may read is refused.
        """
        public = path.with_suffix(".pub")
        try:
            if not path.exists():
                _create(path)
            signer = cls(_load(path))
            if not public.exists():
                write_once(public, signer.public_key.pem)
        except OSError as error:
            raise FailedPrecondition(f"the key {path} can't be made or read: {error}") from error
        if PublicKey.load(public) != signer.public_key:
            raise FailedPrecondition(f"{public} does not belong to {path}; remove it, it will be made again")
        return signer

    @property
    def id(self) -> str:
        """Key id, as in the envelopes."""
        return self.public_key.id

    def sign(self, statement: Mapping[str, Any]) -> Envelope:
        """A DSSE envelope (JSON) around the statement's canonical JSON."""
        envelope = dsse.Envelope(canonical_json(statement), PAYLOAD_TYPE, {})
        envelope.sign(self._signer)
        made: Envelope = envelope.to_dict()
        return made


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
    try:
        opened.verify([_dsse_key(key) for key in signers], 1)
    except VerificationError as error:
        found = ", ".join(key.id[:12] for key in signers)
        raise SignatureMismatch(
            f"the signature of {found} does not match the content: it was altered after signing"
        ) from error
    return _statement(opened, predicate_type)


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


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_once(path, pem, mode=0o600)


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        if path.stat().st_mode & 0o007:
            raise FailedPrecondition(f"everybody on this machine may read the key {path}; chmod 600 it")
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FailedPrecondition(f"{path} holds no private key in PEM: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FailedPrecondition(f"{path} is not an Ed25519 key")
    return key
