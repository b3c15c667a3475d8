"""Reading a signed verdict: who signed it, what it says, and which engine it speaks of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posology.core.attestations.verdict import PREDICATE_TYPE, VerdictPredicate, model_of
from posology.core.errors import InvalidInput
from posology.engine import EngineConfig, Probe


@dataclass(frozen=True)
class Verdict:
    """A verdict with the parts that an engine is started and probed with."""

    model: str
    """Digest of the weights."""
    predicate: VerdictPredicate
    engine: EngineConfig
    """As observed while the evaluation ran."""
    probes: tuple[Probe, ...]
    policy: str = ""
    """Name of the release policy that let it in; empty before it did."""

    @property
    def outcome(self) -> str:
        """PASS, FAIL, INSUFFICIENT_EVIDENCE or INVALID."""
        return self.predicate.outcome

    @property
    def shortfalls(self) -> str:
        """The gates that did not pass, in one line."""
        missed = (g for g in self.predicate.gates if g.get("outcome") != "PASS")
        return ", ".join(f"{g.get('suite')} {g.get('metric', '')}".strip() for g in missed)


def read(statement: Mapping[str, Any]) -> Verdict:
    """The verdict inside a verified in-toto statement; InvalidInput when it is another kind of statement."""
    if statement.get("predicateType") != PREDICATE_TYPE:
        raise InvalidInput(f"this statement is no verdict but {statement.get('predicateType')!r}")
    try:
        predicate = VerdictPredicate.from_json(statement["predicate"])
        engine = EngineConfig.from_dict(dict(statement["predicate"]["engine"]))
        probes = tuple(Probe.from_dict(dict(one)) for one in statement["predicate"]["probes"])
        return Verdict(model_of(statement["subject"]), predicate, engine, probes)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"this verdict lacks what serving needs: {error!r}; issue it again") from error


def parse_envelope(text: str | bytes) -> dict[str, Any]:
    """A DSSE envelope from its JSON; InvalidInput otherwise."""
    try:
        envelope = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"the verdict is no JSON: {error}") from error
    if not isinstance(envelope, dict) or "payload" not in envelope:
        raise InvalidInput("the verdict is no DSSE envelope")
    return envelope
