"""Certificates for TLS between services, where neither cert-manager nor the operator of the cluster brings any.

An authority of this installation's own signs for nothing else, because whoever has a certificate of it may connect. Its
key never leaves the Secret that the chart's credentials Job alone may read. Certificates are renewed when two thirds of
their time are over, in place: pods read them again.
"""

import base64
import datetime
import ipaddress
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import BaseModel, ConfigDict

from posology.core.errors import AlreadyExists, NotFound
from posology.core.kube import Kube, Resource

log = logging.getLogger("posology.credentials")
SECRETS = Resource("v1", "secrets")
AUTHORITY_DAYS = 3650
DAYS = 90
"""How long a certificate lasts; one of an authority that ends sooner lasts as long as that."""
_RENEWED_AFTER = 2 / 3
_EARLIER = datetime.timedelta(hours=1)
"""Clocks of nodes differ."""


class Certificate(BaseModel):
    """What one certificate is for; JSON of the chart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    """DNS names and addresses that others call its owner by."""
    server: bool = True
    """Whether its owner is called."""
    client: bool = True
    """Whether its owner calls."""


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, PEM."""

    certificate: bytes
    key: bytes

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)


async def renew(kube: Kube, prefix: str, certificates: Mapping[str, Certificate]) -> None:
    """`PREFIX-tls-authority`, and `PREFIX-tls-NAME` for each; what is there and lasts stays."""
    namespace = kube.access.namespace
    made = new_authority(prefix)
    kept = await _once(kube, namespace, f"{prefix}-tls-authority", {"ca.crt": made.certificate, "ca.key": made.key})
    authority = Pair(kept["ca.crt"], kept["ca.key"])
    for name, asked in certificates.items():
        await _renew_one(kube, namespace, f"{prefix}-tls-{name}", authority, asked)


async def _renew_one(kube: Kube, namespace: str, name: str, authority: Pair, asked: Certificate) -> None:
    try:
        current = _decoded(await kube.read(SECRETS, namespace, name))
    except NotFound:
        await _once(kube, namespace, name, _files(authority, asked))
        return
    if is_due(current, authority, asked):
        await kube.merge(SECRETS, namespace, name, {"data": _encoded(_files(authority, asked))})
        log.info("a certificate was renewed", extra={"secret": name})


def is_due(
    files: Mapping[str, bytes], authority: Pair, asked: Certificate, *, now: datetime.datetime | None = None
) -> bool:
    """Whether a certificate must be made anew: two thirds of its time are over, or it is not what is asked for."""
    if files.get("ca.crt") != authority.certificate or "tls.crt" not in files or "tls.key" not in files:
        return True
    found = x509.load_pem_x509_certificate(files["tls.crt"])
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    clock = now or datetime.datetime.now(datetime.UTC)
    return clock >= begins + (ends - begins) * _RENEWED_AFTER or _names_of(found) != set(asked.names)


def new_authority(prefix: str) -> Pair:
    """An authority that signs no other authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{prefix} services"[:64])])
    begins = datetime.datetime.now(datetime.UTC) - _EARLIER
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Pair, asked: Certificate) -> Pair:
    """A certificate for these names, with a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # new_authority makes no other
    issuer = authority.parsed
    begins = datetime.datetime.now(datetime.UTC) - _EARLIER
    uses = [ExtendedKeyUsageOID.SERVER_AUTH] * asked.server + [ExtendedKeyUsageOID.CLIENT_AUTH] * asked.client
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))  # the names are below; a subject would be cut at 64 characters
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(min(begins + datetime.timedelta(days=DAYS), issuer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName(_general_names(asked.names)), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def _files(authority: Pair, asked: Certificate) -> dict[str, bytes]:
    made = issue(authority, asked)
    return {"ca.crt": authority.certificate, "tls.crt": made.certificate, "tls.key": made.key}


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(pem), plain)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(n)) if _is_address(n) else x509.DNSName(n) for n in names]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _names_of(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


async def _once(kube: Kube, namespace: str, name: str, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The Secret as it is, made if it is not there."""
    body = {"metadata": {"name": name}, "type": "Opaque", "data": _encoded(files)}
    try:
        return _decoded(await kube.create(SECRETS, namespace, body))
    except AlreadyExists:
        return _decoded(await kube.read(SECRETS, namespace, name))


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def _decoded(secret: Mapping[str, object]) -> dict[str, bytes]:
    data = secret.get("data")
    assert isinstance(data, dict)  # the API server's own shape
    return {name: base64.b64decode(content) for name, content in data.items()}
