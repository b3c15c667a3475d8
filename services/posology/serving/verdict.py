"""Reading a signed verdict: who signed it, what it says, and which engine it speaks of."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posology.core.errors import InvalidInput
from posology.engine import EngineConfig, Probe

VERDICT_FILE = "verdict.dsse.json"
"""The envelope's name inside a verdict artifact."""
PREDICATE_TYPE = "https://posology.dev/verdict/v1alpha1"


@dataclass(frozen=True)
class Verdict:
    """The parts of a verdict that decide whether, and as what, weights may serve."""

    outcome: str
    """PASS, FAIL, INSUFFICIENT_EVIDENCE or INVALID."""
    model: str
    """Digest of the weights."""
    engine: EngineConfig
    """As observed while the evaluation ran."""
    probes: tuple[Probe, ...]
    dataset: str = ""
    run: str = ""
    gates: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def shortfalls(self) -> str:
        """The gates that did not pass, in one line."""
        missed = (g for g in self.gates if g.get("outcome") != "PASS")
        return ", ".join(f"{g.get('suite')} {g.get('metric', '')}".strip() for g in missed)


def read(statement: Mapping[str, Any]) -> Verdict:
    """The verdict inside a verified in-toto statement; InvalidInput when it is another kind of statement."""
    if statement.get("predicateType") != PREDICATE_TYPE:
        raise InvalidInput(f"this statement is no verdict but {statement.get('predicateType')!r}")
    try:
        return _read(statement["subject"], statement["predicate"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"this verdict lacks what serving needs: {error!r}; issue it again") from error


def _read(subject: Iterable[Mapping[str, Any]], predicate: Mapping[str, Any]) -> Verdict:
    return Verdict(
        outcome=predicate["outcome"],
        model=_model(subject),
        engine=EngineConfig.from_dict(dict(predicate["engine"])),
        probes=tuple(Probe.from_dict(dict(one)) for one in predicate["probes"]),
        dataset=predicate.get("dataset", ""),
        run=predicate.get("run", ""),
        gates=tuple(predicate.get("gates", ())),
    )


def _model(subject: Iterable[Mapping[str, Any]]) -> str:
    """The weights are the subject called `model`; its digest is the artifact's."""
    models = [entry["digest"]["sha256"] for entry in subject if entry["name"] == "model"]
    if len(models) != 1:
        raise ValueError("exactly one subject must be named model")
    return f"sha256:{models[0]}"


def parse_envelope(text: str | bytes) -> dict[str, Any]:
    """A DSSE envelope from its JSON; InvalidInput otherwise."""
    try:
        envelope = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"the verdict is no JSON: {error}") from error
    if not isinstance(envelope, dict) or "payload" not in envelope:
        raise InvalidInput("the verdict is no DSSE envelope")
    return envelope


def read_revoked(path: Path) -> frozenset[str]:
    """Key ids whose verdicts no longer load: one a line, `#` starts a comment; no file, none revoked."""
    if not path.exists():
        return frozenset()
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return frozenset(line for line in lines if line)
