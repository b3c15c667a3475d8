"""What a release policy says: types and the order of strictness, standard library only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MULTIPLE_CHOICE, REFUSAL = "MULTIPLE_CHOICE", "REFUSAL"


@dataclass(frozen=True)
class RequiredGate:
    """A kind of gate with its demands by JSON name; those that begin with `max` are ceilings, all others floors."""

    kind: str
    demands: Mapping[str, float] = field(default_factory=dict)
    min_items: int = 0


@dataclass(frozen=True)
class RequiredSuite:
    """Gates on the items with this digest; an empty digest is any suite of this kind."""

    gates: tuple[RequiredGate, ...]
    digest: str = ""
    name: str = ""
    kind: str = MULTIPLE_CHOICE
    scoring: str = ""
    """How a choice must be read; empty = either way."""
    min_tokens: int = 0


@dataclass(frozen=True)
class RequiredReview:
    """A review of the data set or the preferences, by enough people who count as experts, with a proven bound."""

    max_error_rate: float
    of: str = "DATASET"
    reviewer_kinds: tuple[str, ...] = ()
    reviewers: int = 1
    confidence: float = 0.95
    min_rated: int = 0
    tries: int = 0
    """Budget of reviews of one set; 0 = the k-th is decided at alpha / 2^(k-1)."""


@dataclass(frozen=True)
class Root:
    """A base model by the hex sha256 of each of its weight files."""

    name: str
    weight_files: frozenset[str]


@dataclass(frozen=True)
class Requirements:
    """What weights must have proven."""

    suites: tuple[RequiredSuite, ...]
    gates: tuple[RequiredGate, ...] = ()
    confidence: float = 0.95
    tries: int = 0
    """Budget of tries; 0 = the k-th is decided at alpha / 2^(k-1)."""
    reviews: tuple[RequiredReview, ...] = ()
    roots: tuple[Root, ...] = ()
    any_base: bool = False
    """Any base whose weight files no run of this installation made."""
    classifier: bool = False
    """Whether the refusal classifier that ships may decide; elsewhere a judge does, corrected by people."""


@dataclass(frozen=True)
class Override:
    """Requirements of a namespace, a model name, or both; an empty one is any."""

    requirements: Requirements
    namespace: str = ""
    model_name: str = ""

    def precision(self, namespace: str, model_name: str) -> int:
        """How precisely it names these, 0 = not at all; a model name is more precise than a namespace."""
        if self.namespace not in ("", namespace) or self.model_name not in ("", model_name):
            return 0
        return bool(self.namespace) + 2 * bool(self.model_name)


@dataclass(frozen=True)
class ReleasePolicy:
    """The installation's policy; `digest` is that of what was signed."""

    name: str
    default: Requirements | None = None
    overrides: tuple[Override, ...] = ()
    digest: str = ""

    def requirements(self, namespace: str, model_name: str) -> Requirements | None:
        """What weights need to serve as `model_name` in `namespace`; None = nothing releases them."""
        precise = max(self.overrides, key=lambda one: one.precision(namespace, model_name), default=None)
        if precise is not None and precise.precision(namespace, model_name):
            return precise.requirements
        return self.default


def demands_met(required: Mapping[str, float], stated: Mapping[str, float]) -> bool:
    """Whether every demand is stated, and at least as strictly. What is no number is never met."""
    return all(name in stated and _as_strict(name, stated[name], value) for name, value in required.items())


def _as_strict(name: str, stated: float, required: float) -> bool:
    return stated <= required if name.startswith("max") else stated >= required


@dataclass(frozen=True)
class DecidedGate:
    """One gate as a verdict states it."""

    kind: str
    suite: str
    """Digest of its suite; empty where it has none."""
    demands: Mapping[str, float]
    confidence: float
    n: int


def as_strict(policy: Iterable[DecidedGate], other: Iterable[DecidedGate]) -> bool:
    """Whether `policy` asked for at least all that `other` did: the same suites by digest, and for each gate of
    `other` one of the same kind on the same items with every floor, margin, confidence and n at least as demanding.
    Anything else can't be compared, and is not as strict."""
    mine, theirs = tuple(policy), tuple(other)
    if {gate.suite for gate in mine} != {gate.suite for gate in theirs}:
        return False
    return all(any(_covers(gate, asked) for gate in mine) for asked in theirs)


def _covers(gate: DecidedGate, other: DecidedGate) -> bool:
    return (
        (gate.kind, gate.suite) == (other.kind, other.suite)
        and demands_met(other.demands, gate.demands)
        and gate.confidence >= other.confidence
        and gate.n >= other.n
    )
