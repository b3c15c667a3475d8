"""When this process's certificate ends, on `/metrics`: read at each scrape, since certificates are renewed in place."""

import logging
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from posology.core.telemetry import REGISTRY

log = logging.getLogger("posology.server")


class _Expiry(Collector):
    path: Path | None = None

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily("posology_certificate_expiry_timestamp_seconds", "End of the own TLS certificate.")
        if self.path is not None:
            try:
                gauge.add_metric((), expiry(self.path.read_bytes()))
            except (OSError, ValueError) as error:
                log.warning("the certificate can't be read: %s", error)
        yield gauge


def expiry(chain: bytes) -> float:
    """Unix time at which the first certificate of a PEM chain ends."""
    return x509.load_pem_x509_certificate(chain).not_valid_after_utc.timestamp()


def show(path: Path | None) -> None:
    """From now on, scrapes see the end of this certificate; None shows nothing."""
    _SHOWN.path = path


_SHOWN = _Expiry()
REGISTRY.register(_SHOWN)
