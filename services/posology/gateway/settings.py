"""The gateway's settings."""

from typing import ClassVar

from pydantic import Field, field_validator

from posology.core.settings import ServiceSettings, split_address


class Settings(ServiceSettings):
    """Environment -> how the gateway listens, bounds requests and keeps records."""

    service: ClassVar[str] = "gateway"

    http_listen: str = "127.0.0.1:0"
    """host:port of the OpenAI API; port 0 takes a free one, see `http_ready_file`."""
    http_ready_file: str = ""
    """Where the base URL of the OpenAI API is written as {"url": ...} once it listens; empty means nowhere."""
    keep_text: bool = False
    """Keep prompts and answers as text in answer records; off keeps only their sha256."""
    redact_text: bool = True
    """Take what names a person (see core/redaction.py) out of the text that records keep; hashes are of the whole."""
    text_days: int = Field(default=30, ge=0)
    """How long records keep text, days; then only hashes stay. 0 = until somebody erases it."""
    body_seconds: float = Field(default=30.0, gt=0)
    """Longest time that a request's body may take to arrive."""
    max_body_bytes: int = Field(default=1_000_000, gt=0)
    """Largest request body, bytes."""
    max_choices: int = Field(default=4, ge=1)
    """Largest `n`: answers to one request."""
    max_tokens: int = Field(default=4096, ge=1)
    """Most new tokens of one answer; larger wishes are cut to it, and to the room that the model's length leaves."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Requests of a key that names no limit; 0 = none."""
    concurrent_requests: int = Field(default=64, ge=0)
    """Requests at once of a key that names no limit; 0 = none."""
    patience_seconds: float = Field(default=5.0, ge=0)
    """How long a request waits for new routes when every engine it knows is draining or gone."""
    connect_seconds: float = Field(default=2.0, gt=0)
    """How long to wait for a connection to an agent before the next one is tried."""
    engine_tls_name: str = ""
    """Name that certificates of agents must hold, whatever their addresses; empty = that of their address."""
    answer_seconds: float = Field(default=600.0, gt=0)
    """Longest silence of an engine within an answer."""
    leave_seconds: float = Field(default=0.0, ge=0)
    """On SIGTERM: how long `/ready` says no before requests are refused, so that load balancers look away first."""

    @field_validator("http_listen")
    @classmethod
    def _is_host_and_port_too(cls, value: str) -> str:
        split_address(value)
        return value
