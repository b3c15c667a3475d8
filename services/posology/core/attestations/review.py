"""What curation signs of an expert review."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from posology.core.attestations.verdict import Try

LABEL_REFUSALS = "LABEL_REFUSALS"
"""`task` of a review that labels answers; one that rates whether they are correct has no `task`."""
PREDICATE_TYPE = "https://posology.dev/attestation/review/v1"


@dataclass(frozen=True)
class ReviewPredicate:
    """Result, subject, frame, policy, and the numbers of the review's summary as they are stored."""

    result: str
    """PASS or FAIL."""
    subject: str
    """Digest of what was reviewed."""
    artifact: str = ""
    """Digest of what the review published; empty after a FAIL."""
    frame: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """`planned`, `rated`, `errors`, `upper_bound`, `reviewer_kinds` and what else the summary holds."""

    @property
    def attempt(self) -> Try | None:
        """Which try of the set it was, and what decided it; None where that was not counted yet."""
        told = self.numbers.get("try")
        return Try(**told) if told else None

    @property
    def rated(self) -> int:
        return int(self.numbers["rated"])

    @property
    def errors(self) -> int:
        return int(self.numbers["errors"])

    @property
    def upper_bound(self) -> float:
        """One-sided upper bound of the error rate, at `policy["confidence"]`."""
        return float(self.numbers["upper_bound"])

    @property
    def reviewer_kinds(self) -> tuple[str, ...]:
        return tuple(self.numbers.get("reviewer_kinds", ()))

    def to_json(self) -> dict[str, Any]:
        """The JSON that is signed."""
        return {
            "result": self.result,
            "subject": self.subject,
            "artifact": self.artifact,
            "frame": dict(self.frame),
            "policy": dict(self.policy),
            **self.numbers,
        }

    @classmethod
    def from_json(cls, predicate: Mapping[str, Any]) -> "ReviewPredicate":
        """The inverse; KeyError for what is no review."""
        own = {name: predicate[name] for name in ("result", "subject")}
        own |= {name: predicate[name] for name in ("artifact", "frame", "policy") if name in predicate}
        return cls(**own, numbers={name: value for name, value in predicate.items() if name not in own})
