"""The console's settings."""

from typing import ClassVar

from pydantic import Field, field_validator

from posology.core.settings import ServiceSettings, split_address


class Settings(ServiceSettings):
    """Environment -> where the pages are, and how long a session lasts."""

    service: ClassVar[str] = "console"

    console_listen: str = "127.0.0.1:0"
    """host:port of the pages; port 0 takes a free one, see `console_ready_file`."""
    console_ready_file: str = ""
    """Where {"url": ...} is written once the pages are there; empty means nowhere."""
    console_namespace: str = "default"
    """Namespace whose runs and artifacts are shown."""
    session_hours: float = Field(default=12.0, gt=0)
    """How long a signed-in browser may stay away."""

    @field_validator("console_listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        split_address(value)
        return value
