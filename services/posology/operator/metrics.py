"""What `/metrics` says of the operator."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from posology.core.telemetry import REGISTRY

LEADING = Gauge("posology_operator_leading", "1 in the replica that bridges resources and runs.", registry=REGISTRY)


@contextmanager
def leading() -> Iterator[None]:
    """Shown as the leader inside the block."""
    LEADING.set(1)
    try:
        yield
    finally:
        LEADING.set(0)
