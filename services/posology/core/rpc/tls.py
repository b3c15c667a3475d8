"""Optional TLS: certificate, key and authorities are files named in the settings; none means plain text.

Certificates are renewed in place (cert-manager, the kubelet): a server shows the new one at the next handshake, a
client calls with the new one over a new connection, and neither starts anew.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

from posology.core.errors import FailedPrecondition
from posology.core.settings import PREFIX, ServiceSettings

log = logging.getLogger("posology.tls")

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Files:
    """Where certificate, key and authorities of one process lie."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Files":
        """Those that the settings name."""
        return cls(settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file)

    def stamp(self) -> Stamp:
        """Changes when a file does."""
        paths = (self.authorities, self.certificate, self.key)
        stamps = [_stat(path) for path in paths if path is not None]
        return tuple(stamps)

    def server(self) -> grpc.ServerCertificateConfiguration:
        """What a server shows and trusts now."""
        pairs = [(_read(self.key, "TLS_KEY_FILE"), _read(self.certificate, "TLS_CERT_FILE"))]
        authorities = _read(self.authorities, "TLS_CA_FILE") if self.authorities else None
        return grpc.ssl_server_certificate_configuration(pairs, root_certificates=authorities)

    def channel(self) -> grpc.ChannelCredentials | None:
        """What a client trusts and shows now; None for plain text."""
        if self.authorities is None:
            return None
        own = self.certificate is not None and self.key is not None
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.authorities, "TLS_CA_FILE"),
            private_key=_read(self.key, "TLS_KEY_FILE") if own else None,
            certificate_chain=_read(self.certificate, "TLS_CERT_FILE") if own else None,
        )


PLAIN = Files()
"""No TLS."""


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials | None:
    """What the server shows, read anew when the files change; with `tls_ca_file` callers must show a certificate."""
    files = Files.of(settings)
    if files.certificate is None or files.key is None:
        return None
    watched = _Watched(files)
    return grpc.dynamic_ssl_server_credentials(
        files.server(),
        watched.changed,  # type: ignore[arg-type]  # None is no change, which the stubs don't know
        require_client_authentication=files.authorities is not None,
    )


class _Watched:
    """Asked by gRPC's own thread before each handshake."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._stamp = files.stamp()

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new certificate, if there is one; half of a change (or none that can be read) is no change yet."""
        try:
            stamp = self._files.stamp()
            if stamp == self._stamp:
                return None
            configuration = self._files.server()
        except FailedPrecondition as error:
            log.warning("the certificate stays as it was: %s", error.message)
            return None
        self._stamp = stamp
        log.info("the certificate was renewed")
        return configuration


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise FailedPrecondition(f"{path} can't be read ({error.strerror})") from None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read(path: Path | None, variable: str) -> bytes:
    try:
        return Path(path or "").read_bytes()
    except OSError as error:
        raise FailedPrecondition(f"{PREFIX}{variable}: {path} can't be read ({error.strerror})") from None
