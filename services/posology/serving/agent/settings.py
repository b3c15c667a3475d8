"""What one agent is told: references, never weights or signing keys."""

from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AgentSettings(BaseSettings):
    """Environment -> one agent; each variable is the upper-case field name after POSOLOGY_AGENT_."""

    model_config = SettingsConfigDict(env_prefix="POSOLOGY_AGENT_", frozen=True, extra="ignore", env_ignore_empty=True)

    replica: str
    """Id of this agent among all of an installation."""
    deployment: str
    """`namespaces/{ns}/deployments/{id}`, for log lines and errors."""
    model: str
    """Digest of the weights."""
    verdict: str
    """Digest of the verdict artifact; it lies in `released_url` beside the weights."""
    model_name: str
    """Name under which clients ask for the model."""
    engine: dict[str, Any]
    """Engine configuration; must equal the verdict's."""
    token: str
    """Bearer token that callers must show."""

    released_url: str
    """fsspec URL of released artifacts, the only ones that an agent reads."""
    released_credentials: str = ""
    """Reference to the storage credentials of `released_url`: env:NAME or file:PATH; empty = none."""
    weights_dir: Path
    """Cache of verified weights, shared by the agents of a machine."""
    keys: tuple[Path, ...]
    """Public keys whose verdicts count."""
    revoked_file: Path | None = None
    """Ids of revoked keys, one a line."""
    policy_file: Path = Path("release-policy.dsse.json")
    """The signed release policy; without one nothing is served."""
    policy_keys: tuple[Path, ...] = ()
    """Public keys that may sign it."""
    review_keys: tuple[Path, ...] = ()
    """Public keys whose review statements count."""
    deny_list_file: Path = Path("deny-list.dsse.json")
    """The signed list of what was withdrawn; without one nothing loads."""
    deny_list_keys: tuple[Path, ...] = ()
    """Public keys that may sign it."""
    deny_list_mark: Path
    """File that remembers the largest number of a deny-list that was seen here."""
    deny_list_seconds: float = Field(default=1.0, gt=0)
    """How often the list is looked at while the engine serves."""
    deny_list_grace_seconds: float = Field(default=30.0, ge=0)
    """How long an engine serves on what it knew while the list can't be read or believed."""
    directory: Path
    """Where the agent leaves `status.json` and the engine its log."""

    listen: str = "127.0.0.1:0"
    """host:port for requests; port 0 takes a free one, which `status.json` names."""
    tls_cert_file: Path | None = None
    """Certificate to show to callers, PEM, read anew when it changes; empty = plain HTTP."""
    tls_key_file: Path | None = None
    """Its key."""
    engine_url: str = ""
    """Base URL of an engine that something else starts (a sidecar); empty = the agent starts vLLM itself."""
    engine_python: str = ""
    """Python with vLLM; needed unless `engine_url` is set."""
    engine_threads: int = Field(default=0, ge=0)
    """CPU threads of the engine; 0 = all."""
    ready_seconds: float = Field(default=600.0, gt=0)
    """How long the engine may take to load."""
    health_seconds: float = Field(default=1.0, gt=0)
    """How often the engine's health is looked at."""
    drain_seconds: float = Field(default=600.0, ge=0)
    """On SIGTERM: how long running requests may take before they are cut."""
    drain_path: str = ""
    """Path of a drain for a kubelet's preStop hook, which can show no token: unguessable, and answered when the last
    request has ended; empty = none."""
    last_word_file: Path | None = None
    """Where the last status is left as JSON when the agent ends, written in place: a pod's termination message."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
