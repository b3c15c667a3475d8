"""A model endpoint as a worker uses it."""

from dataclasses import dataclass, field

import httpx

from posology.core.model_endpoints.domain import ModelEndpoint
from posology.core.model_endpoints.meter import Meter
from posology.core.model_endpoints.transport import CheckedTransport


@dataclass(frozen=True)
class ModelAccess:
    """What the endpoint is, its key ("" = none), and who counts what is used."""

    endpoint: ModelEndpoint
    key: str = field(default="", repr=False)
    meter: Meter = field(default_factory=Meter)

    def transport(self) -> httpx.BaseTransport:
        """Connects to the endpoint, and to addresses that are allowed only."""
        return CheckedTransport(allow_private=self.endpoint.allow_private)
