"""What the gateway knows: routes to engines, keys, and the record of every answer. Standard library only."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from posology.core.errors import Exhausted, InvalidInput, NotFound, Unauthenticated, Unavailable


@dataclass(frozen=True)
class Provenance:
    """Where an answer's weights come from; every answer carries it in headers and in its record."""

    model_digest: str
    verdict_digest: str
    run: str = ""
    dataset: str = ""
    policy: str = ""
    """Name of the release policy that let the weights in."""


@dataclass(frozen=True)
class Endpoint:
    """One ready engine: the base URL of its agent, and the token that the agent wants."""

    url: str
    token: str


@dataclass(frozen=True)
class Backend:
    """One deployment: the same weights behind every endpoint; `weight` is its percent of the requests."""

    deployment: str
    provenance: Provenance
    max_model_length: int
    weight: int = 100
    endpoints: tuple[Endpoint, ...] = ()
    created: int = 0
    """When the deployment was made, seconds since 1970; 0 where a snapshot of an earlier version does not say."""


@dataclass(frozen=True)
class Route:
    """A model name that clients of one namespace may ask for, and the deployments that share its requests."""

    namespace: str
    model: str
    backends: tuple[Backend, ...]

    @property
    def ready(self) -> bool:
        return any(backend.endpoints for backend in self.backends)


@dataclass(frozen=True)
class Snapshot:
    """All routes at one moment; replaces the one before it whole."""

    version: int = 0
    routes: tuple[Route, ...] = ()

    def route(self, namespace: str, model: str) -> Route:
        """The route of `model`; NotFound lists the names that exist."""
        for route in self.routes:
            if (route.namespace, route.model) == (namespace, model):
                return route
        names = ", ".join(r.model for r in self.of(namespace)) or "none is deployed"
        raise ModelNotFound(f'no model "{model}" in namespace "{namespace}"; models: {names}')

    def of(self, namespace: str) -> tuple[Route, ...]:
        return tuple(route for route in self.routes if route.namespace == namespace)


@dataclass(frozen=True)
class KeyLimits:
    """What one key may use; 0 means no limit of its own, and the gateway's holds."""

    requests_per_minute: int = 0
    concurrent_requests: int = 0
    max_tokens: int = 0


@dataclass(frozen=True)
class ApiKey:
    """A key as stored: its secret is known only as a hash."""

    id: str
    namespace: str
    display_name: str
    prefix: str
    secret_hash: str
    created_at: datetime
    limits: KeyLimits = field(default_factory=KeyLimits)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def name(self) -> str:
        return f"namespaces/{self.namespace}/apiKeys/{self.id}"

    def problem(self, now: datetime) -> str | None:
        """Why the key may not be used now; None when it may."""
        if self.revoked_at is not None:
            return "this API key was revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return f"this API key expired on {self.expires_at:%Y-%m-%d}"
        return None


class AnswerKind(StrEnum):
    CHAT = "chat"
    COMPLETION = "completion"


class AnswerState(StrEnum):
    """RUNNING until the last byte; a gateway that died leaves RUNNING behind, and a restart says LOST."""

    RUNNING = "running"
    COMPLETE = "complete"
    CLIENT_LEFT = "client_left"
    FAILED = "failed"
    LOST = "lost"


@dataclass(frozen=True)
class Answer:
    """The record of one answer; `prompt` and `text` are None when the installation keeps hashes only."""

    id: str
    namespace: str
    key_id: str
    created_at: datetime
    kind: AnswerKind
    model: str
    deployment: str
    agent: str
    provenance: Provenance
    streamed: bool
    prompt_hash: str
    prompt: str | None = None
    state: AnswerState = AnswerState.RUNNING
    answer_hash: str = ""
    text: str | None = None
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0
    erased_at: datetime | None = None

    @property
    def name(self) -> str:
        return f"namespaces/{self.namespace}/answers/{self.id}"


class ModelNotFound(NotFound):
    """No route has this name in the key's namespace."""


class BadKey(Unauthenticated):
    """The key is missing, unknown, revoked or expired; make one with `posology keys create NAME`."""


class BodyTooLarge(InvalidInput):
    """The request body is larger than the gateway takes."""


class BodyTooSlow(InvalidInput):
    """The request body did not come within the time that the gateway gives it."""


class WrongMediaType(InvalidInput):
    """The body is said to be something else than JSON."""


class WrongMethod(InvalidInput):
    """The path is served, by another method."""

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class ContextTooLong(InvalidInput):
    """The prompt leaves no room for an answer; shorten it."""


class RateLimited(Exhausted):
    """This key asked for more than its share; wait `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NoEngine(Unavailable):
    """The model is known, but no engine is ready; wait `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineLost(Unavailable):
    """The engine went away in the middle of an answer; ask again."""
