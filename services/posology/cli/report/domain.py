"""What a report says, as plain values; whatever a run did not reach is absent or empty."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # the real import brings matplotlib
    from posology.cli.report.window import Window

STAND_IN = "automated stand-in, not an expert"
"""The kind of reviewer that a script names itself."""

Standing = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Stage:
    """One row of the stage table; `seconds` is 0 before it starts."""

    name: str
    state: str
    reason: str
    seconds: float = 0.0
    attempts: int = 0
    reused: bool = False
    artifact: str = ""
    resource: str = ""


@dataclass(frozen=True)
class Point:
    """One step of training: name of a number to its value."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Training:
    """One training stage: its curve, in order of steps, and what the curve says."""

    stage: str
    state: str
    curve: tuple[Point, ...]
    findings: tuple[str, ...]
    summary: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)

    def series(self, name: str) -> list[tuple[int, float]]:
        """Steps and values of one number, where it was measured."""
        return [(point.step, point.values[name]) for point in self.curve if name in point.values]


@dataclass(frozen=True)
class Gate:
    """One gate. The interval must lie above `limit`, the estimate at `least` or above; None = not asked for."""

    suite: str
    metric: str
    outcome: str
    n: int
    estimate: float
    low: float
    high: float
    limit: float | None
    least: float | None
    margin: float
    method: str
    confidence: float
    detectable: float
    sufficient: int
    explanation: str
    details: Mapping[str, Any]

    @property
    def paired(self) -> bool:
        """Whether the estimate is a difference between the tuned model and its base."""
        return "base" in self.details and "tuned" in self.details


@dataclass(frozen=True)
class Accuracy:
    """A model on a multiple-choice suite: share right with its two-sided 95% interval."""

    suite: str
    model: str
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Rung:
    """One rung of the parity ladder; None = could not be measured."""

    name: str
    tokens: int
    agreement: float | None
    mean_kl: float | None
    largest: float | None


@dataclass(frozen=True)
class Review:
    """One expert review; `bound` is absent until everything planned is rated."""

    stage: str
    state: str
    planned: int
    rated: int
    errors: int
    bound: float | None
    limit: float
    confidence: float
    allowed_errors: int
    sufficient: int
    chance_to_pass: float
    reviewers: int
    kinds: tuple[str, ...]
    agreement: Mapping[str, float] | None = None
    attempt: int = 0
    """Which review of the set it is, from 1; 0 = not counted."""

    @property
    def by_stand_in(self) -> bool:
        """Whether any rating came from a script."""
        return STAND_IN in self.kinds


@dataclass(frozen=True)
class Behind:
    """One artifact of the lineage."""

    digest: str
    kind: str
    size: int
    producer: str
    parents: tuple[str, ...]
    quarantine: str = ""


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    run: str
    uid: str
    phase: str
    message: str
    creator: str
    created: str
    ended: str
    seconds: float
    outcome: str
    sentence: str
    stages: tuple[Stage, ...]
    trainings: tuple[Training, ...]
    gates: tuple[Gate, ...]
    accuracies: tuple[Accuracy, ...]
    classes: Mapping[str, Any]
    parity: tuple[Rung, ...]
    reviews: tuple[Review, ...]
    card: Mapping[str, Any]
    preferences: Mapping[str, Any]
    lineage: tuple[Behind, ...]
    verdict: Mapping[str, Any]
    engine: Mapping[str, Any]
    spec: Mapping[str, Any]
    spec_sha256: str
    versions: Mapping[str, str]
    written: str
    deployment: Mapping[str, Any] = field(default_factory=dict)
    tries: tuple[str, ...] = ()
    """Which use of each suite this was, and what that costs."""
    policy: str = ""
    """Name of the release policy that the verdict was held against."""
    requirements: tuple[tuple[str, bool, str], ...] = ()
    """Each requirement of that policy, whether the verdict shows it, and what it shows."""
    regressions: tuple[Mapping[str, Any], ...] = ()
    """By suite: what the base had right and the tuned model lost, as the evaluation left it."""
    window: "Window | None" = None
    """The doses of the run's sweep."""
    unread: tuple[str, ...] = ()
    """Stage and digest of what the run made and whose bytes are not to be had: the page knows nothing of it."""

    @property
    def standing(self) -> Standing:
        """How the page greets: shown, not shown, or not decided yet."""
        if self.outcome == "PASS":
            return "good"
        return "bad" if self.outcome or self.phase in ("FAILED", "CANCELLED") else "open"

    @property
    def headline(self) -> str:
        """The one word at the top: the verdict, or where the run stands without one."""
        return self.outcome or self.phase

    @property
    def withdrawn(self) -> tuple[Behind, ...]:
        """Artifacts of this run that may not be used any more."""
        return tuple(one for one in self.lineage if one.quarantine)

    @property
    def by_stand_in(self) -> bool:
        """Whether any review was answered by a script."""
        return any(review.by_stand_in for review in self.reviews)
