"""Settings: environment -> one frozen object, read once at start, with an error that names the variable."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from posology.core.errors import InvalidInput, Violation

PREFIX = "POSOLOGY_"
API_SERVER = "api-server"
"""The audience of tokens that are made for the API server itself."""


def split_address(value: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` -> (host, port); ValueError says what is wrong."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port; write it like 127.0.0.1:7411")
    return host.strip("[]"), int(port)


class _Group(BaseSettings):
    """Settings that belong together; a service reads all groups by deriving from ServiceSettings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)


class ServerSettings(_Group):
    """How the gRPC server listens, drains and logs."""

    listen: str = "127.0.0.1:0"
    """host:port of the gRPC server; port 0 takes a free one, see `ready_file`."""
    advertise: str = ""
    """host:port under which workers reach this service; empty means the bound address of `listen`."""
    metrics_port: int = Field(default=0, ge=-1, le=65535)
    """Port of `/metrics` over HTTP on the host of `listen`; 0 takes a free one, -1 turns it off."""
    ready_file: Path | None = None
    """Where the server writes {"service", "address", "metrics", "pid"} as JSON once it is ready."""

    drain_seconds: float = Field(default=20.0, ge=0)
    """On SIGTERM: how long running calls may take to finish before they are cut."""
    call_seconds: float = Field(default=60.0, gt=0)
    """Upper bound of a unary call whose caller set no deadline."""
    connection_age_seconds: float = Field(default=0.0, ge=0)
    """Close client connections after this time, so that they spread over new replicas; 0 never does."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG also logs successful reads, one line per call."""

    @field_validator("listen")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        split_address(value)
        return value


class StorageSettings(_Group):
    """Where rows, artifacts and keys lie; empty values hang from the data directory."""

    data_dir: Path = Path("~/.posology")
    """Everything of an embedded installation; the defaults below hang from it."""
    database_url: str = ""
    """SQLAlchemy URL; by default `db/<service>.sqlite` under the data directory."""
    candidates_url: str = ""
    """fsspec URL of unreleased artifacts."""
    released_url: str = ""
    """fsspec URL of released artifacts; the only one that engines may read."""
    staging_url: str = ""
    """fsspec URL under which worker attempts leave their files until they are published."""
    keys_dir: Path = Path()
    """Folder of signing keys, `<service>.key` and `<service>.pub`."""


class ReleaseSettings(_Group):
    """What a release needs: the installation's signed policy."""

    release_policy_file: Path = Path()
    """The signed release policy (DSSE envelope); by default `release-policy.dsse.json` in the data directory. Without
    one nothing is released."""
    release_policy_keys: tuple[Path, ...] = ()
    """Public keys that may sign it; empty means `release-policy*.pub` in the keys folder."""
    review_keys: tuple[Path, ...] = ()
    """Public keys whose review statements count; empty means `curation*.pub` in the keys folder."""
    deny_list_file: Path = Path()
    """The signed list of what was withdrawn; by default `deny-list.dsse.json` in the data directory. Without it nothing
    is released and nothing loads."""
    deny_list_keys: tuple[Path, ...] = ()
    """Public keys that may sign it; empty means `orchestrator*.pub` in the keys folder."""


class AuthenticationSettings(_Group):
    """Who may call."""

    token_file: Path = Path()
    """File with the bearer token(s) of this installation, mode 0600; see core.rpc.auth."""
    authentication: Literal["token", "kubernetes", "oidc"] = "token"
    """Who may call: `token`, whoever holds a token of `token_file`, as the one user; `kubernetes`, also users of the
    cluster, by their tokens and with the rights that it gives them on FineTuneRuns; `oidc`, also users of an identity
    provider, with the rights that the cluster gives them."""
    audience: str = "posology"
    """For whom the token of a user must be made; `api-server`: for the API server itself (not with oidc)."""
    oidc_issuer: str = ""
    """URL of the provider, as its tokens name it."""
    oidc_username_claim: str = "sub"
    """Claim that names the user."""
    oidc_username_prefix: str = ""
    """Put before it, as the API server does (--oidc-username-prefix), so that roles are bound to one name."""
    oidc_groups_claim: str = "groups"
    """Claim that lists the user's groups."""
    oidc_groups_prefix: str = ""
    """Put before each group."""
    oidc_ca_file: Path | None = None
    """PEM authorities of the provider; the system's by default."""

    @model_validator(mode="after")
    def _provider_is_named(self) -> "AuthenticationSettings":
        if self.authentication != "oidc":
            return self
        if not self.oidc_issuer.startswith("https://"):
            raise ValueError(f"{PREFIX}OIDC_ISSUER: name the provider's URL, https://...")
        if self.audience == API_SERVER:
            raise ValueError(f"{PREFIX}AUDIENCE: a provider's tokens are made for a client of its own; name its id")
        return self


class PeerSettings(_Group):
    """Where the other services listen."""

    catalog_address: str = "127.0.0.1:7410"
    """The catalog lives in the orchestrator's process."""
    orchestrator_address: str = "127.0.0.1:7410"
    curation_address: str = "127.0.0.1:7411"
    training_address: str = "127.0.0.1:7412"
    evaluation_address: str = "127.0.0.1:7413"
    serving_address: str = "127.0.0.1:7414"
    gateway_address: str = "127.0.0.1:7415"

    @field_validator(
        "catalog_address",
        "orchestrator_address",
        "curation_address",
        "training_address",
        "evaluation_address",
        "serving_address",
        "gateway_address",
    )
    @classmethod
    def _are_hosts_and_ports(cls, value: str) -> str:
        split_address(value)
        return value


class TlsSettings(_Group):
    """The files that turn TLS on, for serving and calling."""

    tls_cert_file: Path | None = None
    """PEM certificate chain of this process; with `tls_key_file` it turns TLS on, for serving and calling."""
    tls_key_file: Path | None = None
    """PEM private key of `tls_cert_file`."""
    tls_ca_file: Path | None = None
    """PEM authorities to trust; set on a server, callers must show a certificate from them (mTLS)."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "TlsSettings":
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError(f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE go together; set both or none")
        return self


class ServiceSettings(
    TlsSettings, PeerSettings, AuthenticationSettings, ReleaseSettings, StorageSettings, ServerSettings
):  # pydantic takes the fields of the last base first
    """What every service reads; each variable is the upper-case field name after POSOLOGY_.

    A service derives its own class, names itself in `service` and adds its fields.
    """

    service: ClassVar[str] = "service"
    """Short name: file names, log lines, metrics."""

    worker_python: str = ""
    """Python with torch and the training libraries; empty means this process's own."""
    engine_python: str = ""
    """Python with vLLM; empty means this process's own."""

    @model_validator(mode="before")
    @classmethod
    def _hang_defaults_from_the_data_directory(cls, values: dict[str, Any]) -> dict[str, Any]:
        root = Path(values.get("data_dir") or "~/.posology").expanduser().absolute()
        derived = {
            "database_url": f"sqlite:///{root}/db/{cls.service}.sqlite",
            "candidates_url": f"file://{root}/artifacts/candidates",
            "released_url": f"file://{root}/artifacts/released",
            "staging_url": f"file://{root}/artifacts/staging",
            "token_file": root / "token",
            "keys_dir": root / "keys",
            "release_policy_file": root / "release-policy.dsse.json",
            "model_endpoints_dir": root / "model-endpoints",
            "deny_list_file": root / "deny-list.dsse.json",
        }
        return derived | {name: value for name, value in values.items() if value != ""} | {"data_dir": root}


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S], **overrides: Any) -> S:
    """Read `kind` from the environment (overrides win); InvalidInput names every wrong variable at once."""
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise InvalidInput.of(_violation(kind, found) for found in error.errors()) from None


def _violation(kind: type[BaseSettings], found: Mapping[str, Any]) -> Violation:
    variable = "_".join(str(part) for part in found["loc"]).upper()
    prefix = kind.model_config.get("env_prefix", PREFIX)
    reason = str(found["msg"]).removeprefix("Value error, ")
    if not variable:
        return Violation("settings", reason)
    if found["type"] == "missing":
        return Violation(f"{prefix}{variable}", "is not set")
    shown = "" if repr(found["input"]) in reason else f" (got {found['input']!r})"
    return Violation(f"{prefix}{variable}", f"{reason}{shown}")


def misspelt(settings: ServiceSettings) -> Iterator[tuple[str, str]]:
    """POSOLOGY_ variables that are set, mean nothing here, and nearly name a setting: (variable, meant)."""
    known = {f"{PREFIX}{name.upper()}" for name in type(settings).model_fields}
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX)):
        near = difflib.get_close_matches(variable, known, n=1, cutoff=0.9)
        if variable not in known and near:
            yield variable, near[0]
