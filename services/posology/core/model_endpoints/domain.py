"""What an endpoint is: types, standard library only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

EVERY_NAMESPACE = "*"


@dataclass(frozen=True)
class Usage:
    """Tokens of prompts and answers."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class ModelBudget:
    """The most that all runs may use together, 0 = no limit; prices per million tokens, 0 = unknown."""

    max_tokens: int = 0
    max_cost: float = 0.0
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def cost(self, usage: Usage) -> float:
        """In the currency of the prices; 0 where they are unknown."""
        return (usage.prompt_tokens * self.prompt_price + usage.completion_tokens * self.completion_price) / 1_000_000

    def used_up(self, usage: Usage) -> str:
        """Which limit is reached, in words; "" while none is."""
        if self.max_tokens and usage.tokens >= self.max_tokens:
            return f"{usage.tokens:,} of {self.max_tokens:,} tokens are used"
        if self.max_cost and self.cost(usage) >= self.max_cost:
            return f"{self.cost(usage):.2f} of {self.max_cost:.2f} are spent"
        return ""


@dataclass(frozen=True)
class ModelEndpoint:
    """An API with the secret that opens it; `credentials_secret` is a reference, never the secret."""

    name: str
    address: str
    models: tuple[str, ...]
    credentials_secret: str = ""
    namespaces: frozenset[str] = frozenset()
    budget: ModelBudget = field(default_factory=ModelBudget)
    allow_private: bool = False

    def serves(self, namespace: str) -> bool:
        """Whether specs of a namespace may name it."""
        return bool(self.namespaces & {namespace, EVERY_NAMESPACE})

    def is_same_model(self, model: str, other: "ModelEndpoint", other_model: str) -> bool:
        """Whether two choices ask the same model, under whatever names the endpoints go; for a judge that must not be
        the teacher."""
        return (self.address.rstrip("/"), model) == (other.address.rstrip("/"), other_model)

    def grant(self) -> dict[str, Any]:
        """What a worker is told: JSON. The secret goes as a reference, and reaches the worker as secrets do."""
        return {
            "address": self.address,
            "credentialsSecret": self.credentials_secret,
            "allowPrivate": self.allow_private,
            "budget": asdict(self.budget),
        }


def from_grant(name: str, grant: Mapping[str, Any]) -> ModelEndpoint:
    """The endpoint as a worker needs it."""
    return ModelEndpoint(
        name,
        grant["address"],
        (),
        grant["credentialsSecret"],
        budget=ModelBudget(**grant["budget"]),
        allow_private=grant["allowPrivate"],
    )
