"""The release policy's own gates on an evaluation's items, whatever the run that had them scored asked for.

Only such a FAIL speaks to others than those who gave it: the items are the policy's by their bytes, the demands are the
policy's, the weights are a run's own with the files that it wrote beside them, and the base is the root that they come
from. Whoever submitted chose none of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from posology.core.release.domain import RequiredGate, RequiredSuite, Requirements
from posology.evaluation import gates
from posology.evaluation.domain import Evidence, Gate, Outcome, Policy, Suite
from posology.evaluation.origins import Origin

_FIELDS = {json_name: name for name, json_name in gates.JSON_NAMES.items()}


def fail(requirements: Requirements, policy: Policy, evidence: Evidence, origin: Origin) -> bool:
    """Whether any gate that is required on items that the policy names by digest comes out as FAIL."""
    if origin.lineage != "ROOT" or not set(origin.weight_files) - set(origin.base_files):
        return False
    return any(
        _fails(suite, gate, replace(policy, confidence=requirements.confidence), evidence)
        for required in requirements.suites
        for suite in _as_required(required, policy)
        for gate in required.gates
    )


def _as_required(required: RequiredSuite, policy: Policy) -> Iterator[Suite]:
    """The suites that are what is required, scored as required."""
    for suite in policy.suites:
        same = bool(required.digest) and suite.digest == required.digest and suite.kind.value == required.kind
        scored = not required.scoring or suite.scoring.value == required.scoring
        if same and scored and suite.max_tokens >= required.min_tokens:
            yield suite


def _fails(suite: Suite, required: RequiredGate, policy: Policy, evidence: Evidence) -> bool:
    demands: dict[str, Any] = {_FIELDS[name]: value for name, value in required.demands.items() if name in _FIELDS}
    if not demands:
        return False
    stated = next((gate for gate in policy.gates if gate.suite == suite.name), Gate(suite.name))
    required_gate = Gate(suite.name, judged=stated.judged, sample=stated.sample, raters=stated.raters, **demands)
    asked = replace(policy, gates=(required_gate,))
    if gates.violations(asked):
        return False  # the policy wants what no gate decides on such items: it releases nothing either
    return any(
        result.kind == required.kind and result.outcome is Outcome.FAIL and result.n >= required.min_items
        for result in gates.decide(asked, evidence)
    )
