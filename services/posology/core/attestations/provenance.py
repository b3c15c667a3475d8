"""What training signs of an artifact that it made: SLSA provenance v1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"


@dataclass(frozen=True)
class ProvenancePredicate:
    """What was asked for, what went in, who built it and when."""

    build_type: str
    external_parameters: Mapping[str, Any]
    internal_parameters: Mapping[str, Any]
    inputs: tuple[str, ...]
    """Digests (`sha256:<hex>`) of what it was made from."""
    run_details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """`sft`, `dpo`, `merge` or the job's kind: the last part but one of the build type."""
        return "".join(self.build_type.split("/")[-2:-1])

    def to_json(self) -> dict[str, Any]:
        """The JSON that is signed."""
        return {
            "buildDefinition": {
                "buildType": self.build_type,
                "externalParameters": dict(self.external_parameters),
                "internalParameters": dict(self.internal_parameters),
                "resolvedDependencies": [{"digest": {"sha256": one.removeprefix("sha256:")}} for one in self.inputs],
            },
            "runDetails": dict(self.run_details),
        }

    @classmethod
    def from_json(cls, predicate: Mapping[str, Any]) -> "ProvenancePredicate":
        """The inverse; KeyError for what is no provenance."""
        definition = predicate["buildDefinition"]
        return cls(
            definition.get("buildType", ""),
            definition.get("externalParameters", {}),
            definition.get("internalParameters", {}),
            tuple("sha256:" + one["digest"]["sha256"] for one in definition["resolvedDependencies"]),
            predicate.get("runDetails", {}),
        )
