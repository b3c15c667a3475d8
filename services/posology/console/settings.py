"""The console's settings."""

from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from posology.core.settings import PREFIX, ServiceSettings, split_address


class Settings(ServiceSettings):
    """Environment -> where the pages are, who may see them, and how long a session lasts.

    `authentication` says how people sign in: `token` by a link that works once (an embedded installation), `oidc` at
    the provider, `kubernetes` with a token of the cluster.
    """

    service: ClassVar[str] = "console"

    console_listen: str = "127.0.0.1:0"
    """host:port of the pages; port 0 takes a free one, see `console_ready_file`."""
    console_ready_file: str = ""
    """Where {"url": ...} is written once the pages are there; empty means nowhere."""
    console_url: str = ""
    """Where browsers find the pages, such as https://posology.example; requests for another host are refused. Needed to
    sign in at a provider, which sends people back there."""
    console_namespace: str = "default"
    """Namespace whose runs and artifacts are shown."""
    console_client_secret_file: Path | None = None
    """File with the secret of this client (`audience`) at the provider; none for a public client, which PKCE guards."""
    console_scopes: tuple[str, ...] = ("openid",)
    """What to ask the provider for; `openid` is among it. Its tokens must then name the user and the groups."""
    session_hours: float = Field(default=12.0, gt=0)
    """How long a signed-in browser may stay away."""
    session_most_hours: float = Field(default=24.0, gt=0)
    """How long a session lasts at most, however busy it is."""

    @field_validator("console_listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        split_address(value)
        return value

    @field_validator("console_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
            raise ValueError("is scheme and host, like https://posology.example, without a path")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _people_come_back_from_the_provider(self) -> "Settings":
        if self.authentication == "oidc" and not self.console_url:
            raise ValueError(f"{PREFIX}CONSOLE_URL: say where browsers find the pages; the provider sends people there")
        if self.authentication == "oidc" and "openid" not in self.console_scopes:
            raise ValueError(f"{PREFIX}CONSOLE_SCOPES: openid is among them")
        return self
