"""What evaluation signs of weights: outcome, gates, engine, probes, and everything that decided them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PREDICATE_TYPE = "https://posology.dev/verdict/v1alpha1"
FILE = "verdict.dsse.json"
"""The envelope's name inside a verdict artifact."""
SUBJECT = "model"
"""Name of the subject whose digest is that of the weights."""
WORST_FIRST = ("INVALID", "FAIL", "INSUFFICIENT_EVIDENCE", "PASS")
"""Outcomes; the worst of any gate is the verdict's, and only the last one releases."""


def overall(outcomes: Sequence[str]) -> str:
    """The verdict over all gates (intersection-union); without gates nothing is shown."""
    return next((worst for worst in WORST_FIRST if worst in outcomes), "INSUFFICIENT_EVIDENCE")


@dataclass(frozen=True)
class Base:
    """The model that gates compared with: its artifact, the hex sha256 of each of its weight files, and whether a run
    of this installation made any of them."""

    artifact: str = ""
    weight_files: tuple[str, ...] = ()
    made_here: bool = True
    lineage: str = "UNKNOWN"
    """`ROOT`: the weights were made from it, and it from nothing; `OTHER`: they were made from something else;
    `UNKNOWN`: they were pushed without an origin."""


@dataclass(frozen=True)
class DerivedBase:
    """A model between the weights and the base that gates compared with; `verdict` is the digest of its own PASS,
    empty when it has none. The envelope is among the verdict's statements."""

    model: str
    verdict: str = ""


@dataclass(frozen=True)
class Try:
    """Which use of a suite by this root and model name, or which review of a set, this was, counted from 1;
    `confidence` is what decided it."""

    number: int
    confidence: float
    note: str = ""
    """What it costs, for people."""


@dataclass(frozen=True)
class VerdictPredicate:
    """The predicate of a verdict. What later versions added is left out of the JSON where it is empty, so that a
    verdict that was signed before reads and writes the same bytes."""

    outcome: str
    gates: tuple[Mapping[str, Any], ...] = ()
    """The JSON mapping of the contract's GateResult."""
    engine: Mapping[str, Any] = field(default_factory=dict)
    """As observed while the evaluation ran."""
    probes: tuple[Mapping[str, Any], ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    """The evaluation's spec, which decided the gates."""
    suites: Mapping[str, str] = field(default_factory=dict)
    """Digest of each suite's bytes, by name."""
    suites_artifact: str = ""
    holdout_uses: Mapping[str, int] = field(default_factory=dict)
    evaluation: Mapping[str, str] = field(default_factory=dict)
    """`name` and `artifact`."""
    base_model: str = ""
    adapter: str = ""
    dataset: str = ""
    lineage: Mapping[str, Sequence[str]] = field(default_factory=dict)
    run: str = ""
    audit_heads: Mapping[str, Any] = field(default_factory=dict)
    """`length` and `digest` of every service's audit chain when it was signed; earlier verdicts hold a digest alone."""
    statements: tuple[Mapping[str, Any], ...] = ()
    """`digest` and `envelope` of each statement that the verdict carries."""
    namespace: str = ""
    model_name: str = ""
    """Name under which the weights may be served."""
    submitter: str = ""
    """Whom the verdict was issued for; empty where nobody is told apart."""
    weight_files: tuple[str, ...] = ()
    """Hex sha256 of each weight file."""
    base: Base = Base()
    derived: tuple[DerivedBase, ...] = ()
    tries: Mapping[str, Try] = field(default_factory=dict)
    """By name of suite."""
    unanswered: tuple[str, ...] = ()
    """Verdicts that said FAIL of these weight files and that this one does not answer."""
    learnt: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By kind (`dataset`, `preferences`), the sets that training read for these weights, by the manifests behind them;
    what a released base learnt is its own verdict's matter. Empty for weights that were pushed."""
    doses_tried: int = 0
    """Doses among which a sweep chose these weights, on development items; 0 without a sweep."""

    def to_json(self) -> dict[str, Any]:
        """The JSON that is signed."""
        added = {
            "namespace": self.namespace,
            "modelName": self.model_name,
            "submitter": self.submitter,
            "weightFiles": list(self.weight_files),
            "base": {
                "artifact": self.base.artifact,
                "weightFiles": list(self.base.weight_files),
                "madeHere": self.base.made_here,
                "lineage": self.base.lineage,
            }
            if self.base != Base()
            else {},
            "derived": [{"model": one.model, "verdict": one.verdict} for one in self.derived],
            "tries": {name: vars(one) for name, one in self.tries.items()},
            "unanswered": list(self.unanswered),
            "learnt": {kind: list(digests) for kind, digests in self.learnt.items()},
            "dosesTried": self.doses_tried,
        }
        return {
            "outcome": self.outcome,
            "gates": [dict(gate) for gate in self.gates],
            "engine": dict(self.engine),
            "probes": [dict(probe) for probe in self.probes],
            "policy": dict(self.policy),
            "suites": dict(self.suites),
            "suitesArtifact": self.suites_artifact,
            "holdoutUses": dict(self.holdout_uses),
            "evaluation": dict(self.evaluation),
            "baseModel": self.base_model,
            "adapter": self.adapter,
            "dataset": self.dataset,
            "lineage": {kind: list(digests) for kind, digests in self.lineage.items()},
            "run": self.run,
            "auditHeads": dict(self.audit_heads),
            "statements": [dict(one) for one in self.statements],
            **{name: value for name, value in added.items() if value},
        }

    @classmethod
    def from_json(cls, predicate: Mapping[str, Any]) -> "VerdictPredicate":
        """The inverse; KeyError, TypeError or ValueError for what is no verdict. Only the outcome must be there."""
        base = predicate.get("base", {})
        return cls(
            outcome=predicate["outcome"],
            gates=tuple(predicate.get("gates", ())),
            engine=dict(predicate.get("engine", {})),
            probes=tuple(predicate.get("probes", ())),
            policy=dict(predicate.get("policy", {})),
            suites=dict(predicate.get("suites", {})),
            suites_artifact=predicate.get("suitesArtifact", ""),
            holdout_uses=dict(predicate.get("holdoutUses", {})),
            evaluation=dict(predicate.get("evaluation", {})),
            base_model=predicate.get("baseModel", ""),
            adapter=predicate.get("adapter", ""),
            dataset=predicate.get("dataset", ""),
            lineage=dict(predicate.get("lineage", {})),
            run=predicate.get("run", ""),
            audit_heads=dict(predicate.get("auditHeads", {})),
            statements=tuple(predicate.get("statements", ())),
            namespace=predicate.get("namespace", ""),
            model_name=predicate.get("modelName", ""),
            submitter=predicate.get("submitter", ""),
            weight_files=tuple(predicate.get("weightFiles", ())),
            base=Base(
                base.get("artifact", ""),
                tuple(base.get("weightFiles", ())),
                bool(base.get("madeHere", True)),
                base.get("lineage", "UNKNOWN"),
            ),
            derived=tuple(DerivedBase(one["model"], one["verdict"]) for one in predicate.get("derived", ())),
            tries={name: Try(**one) for name, one in predicate.get("tries", {}).items()},
            unanswered=tuple(predicate.get("unanswered", ())),
            learnt={kind: tuple(digests) for kind, digests in predicate.get("learnt", {}).items()},
            doses_tried=int(predicate.get("dosesTried", 0)),
        )


def model_of(subjects: Iterable[Mapping[str, Any]]) -> str:
    """The digest of the weights that a verdict is about; ValueError unless it is about exactly one."""
    models = [entry["digest"]["sha256"] for entry in subjects if entry["name"] == SUBJECT]
    if len(models) != 1:
        raise ValueError("exactly one subject must be named model")
    return f"sha256:{models[0]}"
