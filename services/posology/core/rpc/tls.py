"""Optional TLS: certificate, key and authorities are files named in the settings; none means plain text."""

from pathlib import Path

import grpc

from posology.core.errors import FailedPrecondition
from posology.core.settings import PREFIX, ServiceSettings


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials | None:
    """Credentials of the server; with `tls_ca_file` callers must show a certificate (mTLS)."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    authorities = _read(settings.tls_ca_file, "TLS_CA_FILE") if settings.tls_ca_file else None
    return grpc.ssl_server_credentials(
        [(_read(settings.tls_key_file, "TLS_KEY_FILE"), _read(settings.tls_cert_file, "TLS_CERT_FILE"))],
        root_certificates=authorities,
        require_client_auth=authorities is not None,
    )


def channel_credentials(settings: ServiceSettings) -> grpc.ChannelCredentials | None:
    """Credentials to call with: trusts `tls_ca_file`, shows the own certificate if there is one."""
    if settings.tls_ca_file is None:
        return None
    own = settings.tls_cert_file is not None and settings.tls_key_file is not None
    return grpc.ssl_channel_credentials(
        root_certificates=_read(settings.tls_ca_file, "TLS_CA_FILE"),
        private_key=_read(settings.tls_key_file, "TLS_KEY_FILE") if own else None,
        certificate_chain=_read(settings.tls_cert_file, "TLS_CERT_FILE") if own else None,
    )


def _read(path: Path | None, variable: str) -> bytes:
    try:
        return Path(path or "").read_bytes()
    except OSError as error:
        raise FailedPrecondition(f"{PREFIX}{variable}: {path} can't be read ({error.strerror})") from None
