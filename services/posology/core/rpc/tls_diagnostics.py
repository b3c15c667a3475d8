"""Why two processes don't agree on TLS, in words that say what to mend: gRPC's own are OpenSSL's."""

from datetime import UTC, datetime

from cryptography import x509

from posology.core.rpc.tls import Files

_SAID = {
    "certificate has expired": "its certificate has expired; renew it",
    "Hostname Verification": "its certificate is not for the name in this address; see POSOLOGY_{service}_ADDRESS",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is of an authority that POSOLOGY_TLS_CA_FILE does not hold",
    "WRONG_VERSION_NUMBER": "it speaks no TLS; give it a certificate, or leave out POSOLOGY_TLS_CA_FILE here",
}
_CLOSED = "last error: UNAVAILABLE", "Socket closed"
"""A server that refuses a certificate just hangs up; so does one that gets plain text where it wants TLS."""


def explanation(details: str, files: Files, service: str) -> str:
    """Why a call with these files failed; empty where TLS is not the reason."""
    for sign, advice in _SAID.items():
        if sign in details:
            return advice.format(service=service.upper())
    if not all(part in details for part in _CLOSED):
        return ""
    if files.authorities is None:
        return "it hung up; if it runs, it wants TLS: set POSOLOGY_TLS_CA_FILE, _CERT_FILE and _KEY_FILE"
    if files.certificate is None:
        return "it hung up; if it runs, it wants a certificate: set POSOLOGY_TLS_CERT_FILE and _KEY_FILE"
    return _of_our_own(files.certificate.read_bytes())


def _of_our_own(chain: bytes) -> str:
    ends = x509.load_pem_x509_certificate(chain).not_valid_after_utc
    if ends < datetime.now(UTC):
        return f"it hung up on our certificate, which expired at {ends:%Y-%m-%d %H:%M} UTC; renew it"
    return "it hung up; if it runs, our certificate is of an authority that it does not trust"
